/** Fault injection on a whole environment: one convergence run per kind of fault, with results that can be resumed. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';
import { counted, messageOf } from '../../core/text.ts';
import { environments } from '../../environments/index.ts';
import { Sandbox } from '../sandbox/sandbox.ts';
import { type Case, converge, type Round } from './convergence.ts';
import { faultKinds } from './fault-kinds.ts';
import { Injection } from './injection.ts';
import { renderCases } from './report.ts';

export interface FaultRehearsalOptions {
  readonly environment: string;
  /** Names of the kinds of faults. @default - all */
  readonly faults?: readonly string[];
  /** Regular expression for the names of operations, as the table shows them. @default - all */
  readonly only?: string | undefined;
  /** Leave out the cases that an earlier run has recorded. @default false */
  readonly resume?: boolean | undefined;
  /** Include metric alerts and locks, which azurerm polls for two minutes each. @default false */
  readonly complete?: boolean | undefined;
  /** Ends the run after the current deployment. */
  readonly signal: AbortSignal;
  /** Called with each line of the report. */
  readonly log: (line: string) => void;
}

export interface FaultRehearsal {
  readonly cases: readonly Case[];
  /** Violations; empty if everything converged and no secret was left. */
  readonly problems: readonly string[];
  /** File with the recorded cases, one JSON document per line. */
  readonly file: string;
}

const folder = fileURLToPath(new URL('../../tmp', import.meta.url));

/** @throws Fault with exit status 2 for an unknown environment or a bad pattern */
export async function rehearseFaults(options: FaultRehearsalOptions): Promise<FaultRehearsal> {
  const { resume, complete = false, signal, log } = options;
  const environment = environments.nameOf(options.environment);
  const pattern = patternOf(options.only ?? '.');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `faults-${environment}.jsonl`);
  if (!resume) writeFileSync(file, '');
  const known = existsSync(file) ? readCases(file) : [];
  const cases = [...known];
  const problems: string[] = [];
  const wanted = faultKinds.filter(({ name }) => options.faults?.includes(name) ?? true);
  for (const fault of wanted) {
    if (signal.aborted) break;
    const done = known.filter((one) => one.fault === fault.name).map(({ operation }) => operation);
    const injection = new Injection(({ key }) => pattern.test(key), done);
    const sandbox = await Sandbox.open({ environment, quick: !complete, database: false });
    try {
      log(`${environment}, ${fault.name}: ${fault.description}`);
      const found = await converge(sandbox, {
        fault,
        injection,
        signal,
        onRound: (round) => log(lineOf(round)),
      });
      cases.push(...found.cases);
      for (const one of found.cases) appendFileSync(file, `${JSON.stringify(one)}\n`);
      for (const problem of found.problems) log(`  PROBLEM: ${problem}`);
      problems.push(...found.problems);
    } finally {
      await sandbox.close();
    }
  }
  log(renderCases(cases));
  log(
    problems.length === 0
      ? 'Everything converged, and no resource was orphaned.'
      : `${counted(problems.length, 'problem')} found.`,
  );
  return { cases, problems, file };
}

function patternOf(text: string): RegExp {
  try {
    return new RegExp(text, 'i');
  } catch (error) {
    throw new Fault(
      'rehearsal/bad-pattern',
      '--only is not a regular expression',
      messageOf(error),
      "Give a part of an operation's name as the table shows it, flexibleServers for instance.",
      { exitCode: 2 },
    );
  }
}

function lineOf({ number, exitCode, seconds, faulted, adopted, brokeLock }: Round): string {
  const parts = [
    `exit status ${exitCode}`,
    `${Math.round(seconds)} s`,
    faulted.length === 1 ? faulted[0]?.key : counted(faulted.length, 'fault'),
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
