/**
 * The command line. Each command is a file in this folder that exports `register(program)`. Only the requested one is
 * loaded, so that a step of every deployment starts fast.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { Fault, faultOf } from '../core/fault.ts';
import { messageOf, printable } from '../core/text.ts';

export interface CommandModule {
  register(program: Command): void;
  /** Exit status of every failure, bad usage included, of a command with statuses of its own. @default - 1 or 2 */
  readonly failureStatus?: number;
}

/** Exit status for bad usage, and for a command that could not read its target. */
const usage = 2;

const exitCodes = `
Exit status: 0 success; 1 failure, or findings;
  2 bad usage, or the target could not be read.`;

/**
 * Runs one command.
 *
 * @param argv arguments after the program's name
 * @returns the exit status: 0 success; 1 failure, or findings (a command sets `process.exitCode`); 2 bad usage, or the
 *   target could not be read
 */
export async function main(argv: readonly string[]): Promise<number> {
  const output = watchOutput();
  const debug = argv.includes('--debug');
  const args = argv.filter((argument) => argument !== '--debug');
  const program = new Command('llama-db')
    .description("Deploys, maintains and verifies Llama Mapper's database.")
    .version(version(), '--version', 'print the version')
    .option('--debug', 'print the stack of an error')
    .addHelpText('after', exitCodes)
    // Commander's 40 would leave the descriptions of the list of commands in one line each.
    .configureHelp({ minWidthToWrap: 30 })
    .configureOutput({ outputError: (text, write) => write(inOneLine(text, args)) })
    .exitOverride();
  let failure: number | undefined;
  const own = new Set<string>();
  try {
    const names = wanted(args);
    for (const name of names) {
      const module: CommandModule = await import(`./${name}.ts`);
      module.register(program);
      if (names.length === 1) failure = module.failureStatus;
      if (module.failureStatus !== undefined) own.add(name);
    }
    for (const command of program.commands)
      inherit(command, program, own.has(command.name()) ? '' : exitCodes);
    await program.parseAsync([...args], { from: 'user' });
    return output.lost() ? (failure ?? usage) : Number(process.exitCode ?? 0);
  } catch (error) {
    const json = args.includes('--json');
    if (!(error instanceof CommanderError)) {
      const status = fail(error, { debug, json });
      return failure ?? status;
    }
    if (error.exitCode === 0) return 0;
    // Commander has already printed the text form.
    if (json) printError({ what: error.message });
    return failure ?? usage;
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
function inherit(command: Command, program: Command, statuses: string): void {
  command.copyInheritedSettings(program).addHelpText('after', statuses);
  for (const child of command.commands) inherit(child, program, statuses);
}

function fail(error: unknown, how: { readonly debug: boolean; readonly json: boolean }): number {
  const fault = faultOf(error) ?? systemFault(error);
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
  process.stderr.write(`${printable(line)}\n`);
  if (how.debug) process.stderr.write(`${printable(stackOf(error))}\n`);
  if (fault) return fault.exitCode;
  return isSettings ? usage : 1;
}

/** The Fault of a refused call of the operating system: a full disk, a file without permission, too many open files. */
function systemFault(error: unknown): Fault | undefined {
  if (!(error instanceof Error)) return undefined;
  const [code, syscall, path, errno] = ['code', 'syscall', 'path', 'errno'].map((field): unknown =>
    Reflect.get(error, field),
  );
  if (typeof code !== 'string' || typeof syscall !== 'string' || typeof errno !== 'number') return undefined;
  const place = typeof path === 'string' ? path : 'the output of the command';
  return new Fault(
    'system/call-refused',
    `Cannot ${syscall} ${place}`,
    `the operating system answers ${error.message}`,
    systemRemedies[code] ?? 'Check the file, its folder and its file system, and run the command again.',
    { exitCode: usage, cause: error },
  );
}

const systemRemedies: Readonly<Record<string, string>> = {
  ENOSPC: 'Free space on the file system, and run the command again.',
  EDQUOT: 'Free space within the quota, and run the command again.',
  EROFS: 'Name a file on a file system that can be written.',
  EACCES: 'Name a file that the user of this process may use.',
  EPERM: 'Name a file that the user of this process may use.',
};

/**
 * Follows failures of stdout and stderr, which Node.js reports after the write. A reader that closes the pipe early (`| head`)
 * has read enough: the command ends with its own status. Any other failure loses output, so the status is 2.
 */
function watchOutput(): { readonly lost: () => boolean } {
  let lost = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || lost) return;
      lost = true;
      process.exitCode = usage;
      if (stream === process.stdout) fail(error, { debug: false, json: false });
    });
  }
  return { lost: () => lost };
}

function printError(detail: object): void {
  process.stdout.write(printable(`${JSON.stringify({ ok: false, error: detail })}\n`));
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const cause = error.cause === undefined ? '' : `\nCaused by: ${stackOf(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
