/**
 * The command line. Each command is a file in this folder that exports `register(program)`. Only the requested one is
 * loaded, so that a step of every deployment starts fast.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { faultOf } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';

export interface CommandModule {
  register(program: Command): void;
}

/** Exit status for bad usage, and for a command that could not read its target. */
const usage = 2;

const exitCodes = `
Exit status: 0 success; 1 failure, or findings; 2 bad usage, or the target could not be read.`;

/**
 * Runs one command.
 *
 * @param argv arguments after the program's name
 * @returns the exit status: 0 success; 1 failure, or findings (a command sets `process.exitCode`); 2 bad usage, or the
 *   target could not be read
 */
export async function main(argv: readonly string[]): Promise<number> {
  const debug = argv.includes('--debug');
  const args = argv.filter((argument) => argument !== '--debug');
  const program = new Command('llama-db')
    .description("Deploys, maintains and verifies Llama Mapper's database.")
    .version(version(), '--version', 'print the version')
    .option('--debug', 'print the stack of an error')
    .addHelpText('after', exitCodes)
    .configureOutput({ outputError: (text, write) => write(inOneLine(text, args)) })
    .exitOverride();
  try {
    for (const name of wanted(args)) {
      const module: CommandModule = await import(`./${name}.ts`);
      module.register(program);
    }
    for (const command of program.commands) inherit(command, program);
    await program.parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const json = args.includes('--json');
    if (!(error instanceof CommanderError)) return fail(error, { debug, json });
    if (error.exitCode === 0) return 0;
    // Commander has already printed the text form.
    if (json) printError({ what: error.message });
    return usage;
  }
}

function version(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return String(version);
}

/** Commander's message about bad usage as one line, with the help command to run. */
function inOneLine(text: string, args: readonly string[]): string {
  const what = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.?$/, '.');
  const [requested, ...others] = wanted(args);
  const help =
    requested !== undefined && others.length === 0 ? `llama-db ${requested} --help` : 'llama-db --help';
  return `Bad usage: ${what} Run ${help}.\n`;
}

/** The named command, or all commands for the general help. */
function wanted(args: readonly string[]): readonly string[] {
  const names = readdirSync(new URL('.', import.meta.url))
    .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
    .map((file) => file.slice(0, -'.ts'.length))
    .sort();
  const requested = args.find((argument) => !argument.startsWith('-'));
  return requested !== undefined && names.includes(requested) ? [requested] : names;
}

/** Copies settings and help to every command. Commander itself copies them only at the time of `command()`. */
function inherit(command: Command, program: Command): void {
  command.copyInheritedSettings(program).addHelpText('after', exitCodes);
  for (const child of command.commands) inherit(child, program);
}

function fail(error: unknown, how: { readonly debug: boolean; readonly json: boolean }): number {
  const fault = faultOf(error);
  const isSettings = error instanceof Error && error.name === 'SettingsError';
  const line = fault
    ? `${fault.message} [${fault.code}]`
    : isSettings
      ? error.message
      : `This is a defect of llama-db: ${messageOf(error)}. Run it with --debug and report it.`;
  if (how.json) {
    printError(
      fault ? { code: fault.code, what: fault.what, why: fault.why, remedy: fault.remedy } : { what: line },
    );
  }
  process.stderr.write(`${line}\n`);
  if (how.debug) process.stderr.write(`${stackOf(error)}\n`);
  if (fault) return fault.exitCode;
  return isSettings ? usage : 1;
}

function printError(detail: object): void {
  process.stdout.write(`${JSON.stringify({ ok: false, error: detail })}\n`);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const cause = error.cause === undefined ? '' : `\nCaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
