/** Verification as a command runs it: connect, run the checks, render the report. */

import { Fault } from '../core/fault.ts';
import type { Reporter } from '../core/report.ts';
import type { RecordedHead } from '../database/audit/heads.ts';
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
  /** @default - the identity that is signed in on this machine */
  readonly azureAccess?: AzureAccess;
  /** Heads of the audit trail that were kept outside the database. @default - none */
  readonly keptHeads?: readonly RecordedHead[];
  /** Limit in seconds for the whole run. @default 300 */
  readonly timeLimitSeconds?: number;
}

/**
 * Verifies one server. On a replica, checks that must write are skipped.
 *
 * @throws Fault (exit 2) if the database cannot be read, a requested check does not exist, or the filters select no check.
 */
export async function verify(target: Target, options: VerifyOptions): Promise<Report> {
  for (const id of options.only ?? []) findCheck(id);
  if (chosen(options).length === 0) {
    throw new Fault(
      'verify/no-check-selected',
      'The filters select no check',
      `group ${options.groups?.join(', ')} contains none of ${options.only?.join(', ')}`,
      'Use either --only or --group.',
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
  const logged = asked('audit') ? beginLog(target, options.azureAccess) : undefined;
  try {
    return await withConnection(target, connect, (connection) =>
      withinTime(connection, options.timeLimitSeconds ?? 300, () =>
        runChecks(
          {
            client: connection.client,
            migrationsDir: options.migrationsDirectory,
            openDatabase: otherDatabases(connection),
            ...(target.deployment ? { deployment: target.deployment } : {}),
            ...(options.keptHeads ? { keptHeads: options.keptHeads } : {}),
            ...(azure ? { azure: () => azure } : {}),
            ...(logged ? { loggedHeads: () => logged } : {}),
          },
          options,
        ),
      ),
    );
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new Fault(error.code, error.what, error.why, error.remedy, { exitCode: 2, cause: error });
  }
}

/** Ends a session whose server has stopped answering, and so cannot enforce the limits of its statements. */
async function withinTime<Result>(
  { client, circumstances }: Connection,
  seconds: number,
  work: () => Promise<Result>,
): Promise<Result> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // A cancel request or ROLLBACK would wait behind the statement that the server does not answer.
    client.connection.stream.destroy();
  }, seconds * 1000);
  try {
    return await work();
  } catch (error) {
    if (!late) throw error;
    throw new Fault(
      'verify/timed-out',
      `${circumstances.target} was not verified within ${seconds} s`,
      'it stopped answering, or its statements waited for locks',
      'Find the lock holders in pg_stat_activity and run the command again, with a higher --time-limit if needed.',
      { exitCode: 2 },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Undefined if the deployment names no Azure resources; then nobody needs to be signed in. */
function beginAzure({ deployment }: Target, access: AzureAccess | undefined) {
  if (!deployment?.azure || !deployment.primary.id) return undefined;
  const facts = import('./azure/read.ts').then(({ readAzure }) => readAzure(deployment, access));
  facts.catch(() => undefined);
  return facts;
}

function beginLog({ deployment }: Target, access: AzureAccess | undefined) {
  if (!deployment?.surroundings) return undefined;
  const heads = import('../database/audit/logged-heads.ts').then(({ readLoggedHeads }) =>
    readLoggedHeads(deployment, access),
  );
  heads.catch(() => undefined);
  return heads;
}

/**
 * Finds a check by its id, in any case, or by its name.
 *
 * @throws Fault (exit 2) if no check has it.
 */
export function findCheck(asked: string): CheckFacts {
  const check = catalogue.find((candidate) => isNamed(candidate, asked));
  if (check) return check;
  throw new Fault(
    'verify/unknown-check',
    `Check ${asked} does not exist`,
    `no id or name of the ${catalogue.length} checks matches it`,
    'Run llama-db explain to list them.',
    { exitCode: 2 },
  );
}

export interface RenderOptions {
  readonly format: Format;
  readonly target: Target;
  readonly verdict: Verdict;
  /** @default false */
  readonly colour?: boolean;
  /** Table: list passed checks too. @default false */
  readonly all?: boolean;
  /** Table: columns of the terminal. @default 110 */
  readonly width?: number;
}

/** A report as text in one of the formats. The less common formats are loaded on demand. */
export async function renderReport(report: Report, options: RenderOptions): Promise<string> {
  const { format, target, verdict } = options;
  switch (format) {
    case 'table':
      return renderTable(report, options);
    case 'json': {
      const { reportDocument } = await import('./report/json.ts');
      return `${JSON.stringify(reportDocument(report, verdict, target))}\n`;
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
