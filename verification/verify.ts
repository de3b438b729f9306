/** Verification as a command runs it: connect, look, and say it in the form that was asked for. */

import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import type { AzureAccess } from '../database/azure-access.ts';
import { type Connection, withConnection } from '../database/connection.ts';
import { describeTarget, type Target } from '../database/target.ts';
import { catalogue } from './catalogue.ts';
import type { CheckFacts, Group, Report, RunOptions } from './check.ts';
import { otherDatabases } from './databases.ts';
import { renderTable } from './report/table.ts';
import { chosen, isNamed, runChecks } from './run.ts';
import type { Verdict } from './verdict.ts';

export const formats = ['table', 'json', 'junit', 'sarif', 'html'] as const;
export type Format = (typeof formats)[number];

export interface VerifyOptions extends RunOptions {
  readonly reporter: Reporter;
  readonly migrationsDirectory: string;
  /** @default - whoever is signed in here */
  readonly azureAccess?: AzureAccess;
  /** Seconds that looking at the database may take in all. @default 300 */
  readonly timeLimitSeconds?: number;
}

/**
 * Verifies one server; a replica too, where what needs writing is skipped.
 *
 * @throws Fault (exit 2) when nothing could be looked at, a check is asked for that there is not, or none is.
 */
export async function verify(target: Target, options: VerifyOptions): Promise<Report> {
  for (const id of options.only ?? []) findCheck(id);
  if (chosen(options).length === 0) {
    throw new Fault(
      'verify/1',
      'No check was asked for',
      `none of ${options.only?.join(', ')} is of group ${options.groups?.join(', ')}`,
      'Name checks or groups, not both.',
      { exitCode: 2 },
    );
  }
  const connect = {
    reporter: options.reporter,
    applicationName: 'llama-db verify',
    session: 'reading',
    acceptStandby: true,
  } as const;
  const asked = (wanted: Group) => chosen(options).some(({ group }) => group === wanted);
  const azure = asked('azure') ? beginAzure(target, options.azureAccess) : undefined;
  try {
    return await withConnection(target, connect, (connection) =>
      withinTime(connection, options.timeLimitSeconds ?? 300, () =>
        runChecks(
          {
            client: connection.client,
            migrationsDir: options.migrationsDirectory,
            openDatabase: otherDatabases(connection),
            ...(target.deployment ? { deployment: target.deployment } : {}),
            ...(azure ? { azure: () => azure } : {}),
          },
          options,
        ),
      ),
    );
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault('verify/2', error.what, error.why, error.remedy, { exitCode: 2, cause: error });
  }
}

/**
 * Ends a session whose server has stopped answering: statements have their own limits, which only a server that
 * answers can keep.
 */
async function withinTime<Result>(
  { client, circumstances }: Connection,
  seconds: number,
  work: () => Promise<Result>,
): Promise<Result> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // There is no gentler way: whatever is sent waits behind what is not answered.
    client.connection.stream.destroy();
  }, seconds * 1000);
  try {
    return await work();
  } catch (error) {
    if (!late) throw error;
    throw new Fault(
      'verify/3',
      `${circumstances.target} was not verified within ${seconds} s`,
      'it stopped answering, or everything it was asked had to wait',
      'Look at pg_stat_activity for what holds locks, and run the command again; --time-limit gives it longer.',
      { exitCode: 2 },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Asked only where the deployment names resources: without them nobody needs to be signed in. */
function beginAzure({ deployment }: Target, access: AzureAccess | undefined) {
  if (!deployment?.azure || !deployment.primary.id) return undefined;
  const facts = import('./azure/read.ts').then(({ readAzure }) => readAzure(deployment, access));
  facts.catch(() => undefined);
  return facts;
}

/**
 * Finds a check by its id, in any case, or by its name.
 *
 * @throws Fault (exit 2) when there is none.
 */
export function findCheck(asked: string): CheckFacts {
  const check = catalogue.find((candidate) => isNamed(candidate, asked));
  if (check) return check;
  throw new Fault(
    'verify/4',
    `There is no check ${asked}`,
    `the catalogue has ${catalogue.length}, ${catalogue[0]?.id} to ${catalogue.at(-1)?.id}`,
    'llama-db explain lists them.',
    { exitCode: 2 },
  );
}

export interface RenderOptions {
  readonly format: Format;
  readonly target: Target;
  readonly verdict: Verdict;
  /** @default false */
  readonly colour?: boolean;
  /** Table: name what passed too. @default false */
  readonly all?: boolean;
  /** Table: columns of the terminal. @default 110 */
  readonly width?: number;
}

/** A report as text, in one of the formats. Those that most runs do not print are loaded when asked for. */
export async function renderReport(report: Report, options: RenderOptions): Promise<string> {
  const { format, target, verdict } = options;
  switch (format) {
    case 'table':
      return renderTable(report, options);
    case 'json': {
      const { reportDocument } = await import('./report/json.ts');
      return `${JSON.stringify(reportDocument(report, verdict))}\n`;
    }
    case 'junit': {
      const { renderJunit } = await import('./report/junit.ts');
      return renderJunit(report);
    }
    case 'sarif': {
      const { sarifDocument } = await import('./report/sarif.ts');
      return `${JSON.stringify(sarifDocument(report), null, 2)}\n`;
    }
    case 'html': {
      const { renderHtml } = await import('./report/html.ts');
      const { environment } = target;
      return renderHtml(report, {
        subject: describeTarget(target),
        ...(environment ? { environment } : {}),
        verdict,
      });
    }
  }
}
