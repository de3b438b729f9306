/** The command line of the interruptions: which environment, which faults, which operations. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { Fault } from '../../core/fault.ts';
import { environments } from '../../environments/index.ts';
import { randomPassword } from '../../local/postgres/server.ts';
import { Secrets } from '../secrets.ts';
import { changed, watched } from '../terraform/documents.ts';
import { type Case, cascade, type Round } from './cascade.ts';
import { faultKind, faultKinds } from './faults.ts';
import { Injection } from './injection.ts';
import { startInterrupted } from './rehearsal.ts';
import { renderCases } from './report.ts';

interface Options {
  readonly fault: readonly string[];
  readonly only?: string;
  readonly resume?: true;
  readonly complete?: true;
}

const folder = fileURLToPath(new URL('../../tmp', import.meta.url));
const print = (line: string) => process.stdout.write(`${line}\n`);

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const program = new Command('rehearse:interruptions')
    .argument('<environment>', environments.names.join(', '))
    .description('fail every operation of a deployment once, in every way, and see it converge')
    .option('--fault <names>', `of ${faultKinds.map(({ name }) => name).join(', ')}`, listed, [])
    .option('--only <pattern>', 'operations that match this regular expression, as the table names them')
    .option('--resume', 'leave out what an earlier run has in tmp/interruptions-<environment>.jsonl')
    .option('--complete', 'with the alerts and locks, which the provider watches for two minutes each')
    .exitOverride()
    .action(async (environment: string, options: Options) => {
      exitCode = await rehearse(environment, options);
    });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof Fault)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
}

async function rehearse(environment: string, options: Options): Promise<number> {
  const settings = environments.named(environment);
  const pattern = patternOf(options.only ?? '.');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `interruptions-${environment}.jsonl`);
  if (!options.resume) writeFileSync(file, '');
  const known = existsSync(file) ? readCases(file) : [];
  const cases = [...known];
  let wrong = 0;
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort());
  for (const name of options.fault.length > 0 ? options.fault : faultKinds.map((one) => one.name)) {
    if (stopping.signal.aborted) break;
    const fault = faultKind(name);
    const done = known.filter((one) => one.fault === name).map(({ operation }) => operation);
    const injection = new Injection(({ key }) => pattern.test(key), done);
    const clientSecret = randomPassword();
    const rehearsal = await startInterrupted(settings, {
      injection,
      clientSecret,
      reduce: (document) => (options.complete ? document : changed(document, { leftOut: watched })),
    });
    try {
      print(`${environment}, ${name}: ${fault.description}`);
      const found = await cascade({
        environment,
        fault,
        ...rehearsal,
        hear: (round) => print(lineOf(round)),
      });
      cases.push(...found.cases);
      for (const one of found.cases) appendFileSync(file, `${JSON.stringify(one)}\n`);
      const problems = [...found.problems, ...(await leaks(rehearsal, clientSecret))];
      for (const problem of problems) print(`  NOT AS IT SHOULD BE: ${problem}`);
      wrong += problems.length;
    } finally {
      await rehearsal.stop();
    }
  }
  print(renderCases(cases));
  print(
    wrong === 0
      ? 'Everything converged; nothing was orphaned.'
      : `${wrong} things are not as they should be.`,
  );
  return wrong === 0 ? 0 : 1;
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch (error) {
    throw new Fault(
      'main/2',
      '--only is no regular expression',
      error instanceof Error ? error.message : String(error),
      'Give a part of an operation’s name as the table has it, flexibleServers for instance.',
      { exitCode: 2 },
    );
  }
}

async function leaks(
  { stack, azure }: Awaited<ReturnType<typeof startInterrupted>>,
  clientSecret: string,
): Promise<string[]> {
  const secrets = new Secrets();
  secrets.add('the client secret', clientSecret);
  for (const [id, key] of azure.sharedKeys) secrets.add(`the shared key of ${id}`, key);
  const looked = [
    ...(await stack.artefacts()),
    ...azure.blobs.list().map(([name, { content }]): [string, Buffer] => [`blob ${name}`, content]),
  ];
  return looked
    .flatMap(([where, content]) => secrets.search(where, content))
    .map(({ what, where }) => `${what} is in ${where}`);
}

function lineOf({ number, exitCode, seconds, happened, adopted, brokeLock }: Round): string {
  const parts = [
    `exit ${exitCode}`,
    `${Math.round(seconds)} s`,
    happened.length === 1 ? happened[0]?.key : `${happened.length} faults`,
    ...(adopted.size > 0 ? [`adopted ${adopted.size}`] : []),
    ...(brokeLock ? ['broke the lock'] : []),
  ];
  return `  deployment ${number}: ${parts.join(', ')}`;
}

function readCases(file: string): Case[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function listed(text: string): readonly string[] {
  return text.split(',').map((name) => faultKind(name.trim()).name);
}

process.exitCode = await main(process.argv.slice(2));
