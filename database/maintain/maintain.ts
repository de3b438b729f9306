/**
 * `llama-db maintain`: the regular work of a partitioned database with retention. It may run repeatedly, concurrently,
 * and after a run that ended at any point.
 */
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { counted, duration } from '../../core/text.ts';
import { seal } from '../audit/seals.ts';
import { type Connection, type ConnectOptions, withConnection } from '../connection.ts';
import { diagnose, isConnectionError } from '../diagnosis.ts';
import { withLock } from '../migrator/lock.ts';
import { asOwner, asRole } from '../migrator/prepare.ts';
import type { Target } from '../target.ts';
import { createMonthsAhead, fillHoles, followSettings, readRegistry } from './ahead.ts';
import { requireRightfulClosings } from './closing.ts';
import { type Attempt, type DetachOptions, detachExpired } from './detach.ts';
import { removeExpired } from './remove.ts';
import { type Action, asMaintenance, briefly, describe, type Run, standingOf } from './run.ts';

/** Advisory lock of maintenance runs. It differs from that of deployments, which must not wait for a detach. */
export const maintenanceLock = 7_241_865_325_823_965n;

export interface MaintainOptions extends ConnectOptions, DetachOptions {
  readonly reporter: Reporter;
  /** Seconds to wait for another maintenance run. @default 60 */
  readonly lockWaitSeconds?: number;
  /** Storage records erased per transaction, 1 to 100000. @default 1000 */
  readonly batchSize?: number;
  /** Seconds after which no further batch begins; the next run continues. @default 900 */
  readonly eraseSeconds?: number;
}

export interface Maintained {
  readonly target: string;
  readonly actions: readonly Action[];
  /** Milliseconds. */
  readonly durationMs: number;
}

/**
 * Runs every step, even after a failed one: a reader that blocks the detach of a partition must not prevent the creation
 * of next month's partition.
 *
 * @throws Fault the first failure; further ones were reported as warnings
 */
export function maintain(target: Target, options: MaintainOptions): Promise<Maintained> {
  const { reporter, lockWaitSeconds } = options;
  const connect = { applicationName: 'llama-db maintain', ...options, session: 'maintenance' } as const;
  const lock = {
    key: maintenanceLock,
    reporter,
    ...(lockWaitSeconds === undefined ? {} : { waitSeconds: lockWaitSeconds }),
  };
  return withConnection(target, connect, async (connection) => {
    const start = performance.now();
    await requireStanding(connection, options);
    await requireSchema(connection);
    const actions = await withLock(connection, lock, () => work(connection, options));
    const durationMs = performance.now() - start;
    reporter.line(`Done: ${connection.circumstances.target} is maintained (${duration(durationMs)})`);
    return { target: connection.circumstances.target, actions, durationMs };
  });
}

async function requireSchema({ client, circumstances }: Connection): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT pg_catalog.to_regclass('llama.partitioned_tables') IS NOT NULL
        AND pg_catalog.to_regprocedure('llama.partitions_past_retention()') IS NOT NULL
        AND pg_catalog.to_regprocedure('llama.seal_audit_trail(integer, integer)') IS NOT NULL AS there`,
  );
  if (rows[0]?.there === true) return;
  throw new Fault(
    'maintain/nothing-deployed',
    `${circumstances.target} has no schema to maintain`,
    'llama.partitioned_tables, llama.partitions_past_retention() or llama.seal_audit_trail() is missing; migrations 0005, 0011 and 0012 create them',
    'Deploy the environment or run llama-db migrate first.',
    { exitCode: 2 },
  );
}

/** @throws Fault (exit 2) if the login may not do what the options ask */
async function requireStanding(connection: Connection, { keepDetached }: MaintainOptions): Promise<void> {
  if ((await standingOf(connection)) === 'owner') return;
  const { target, user } = connection.circumstances;
  if (keepDetached) {
    throw new Fault(
      'maintain/owner-needed',
      `${user} may not keep detached partitions on ${target}`,
      'they would be tables that nobody but the owner may read or drop',
      'Use the login of deployments for --keep-detached.',
      { exitCode: 2 },
    );
  }
}

async function work(connection: Connection, options: MaintainOptions): Promise<readonly Action[]> {
  const { reporter } = options;
  const actions: Action[] = [];
  const run: Run = {
    connection,
    reporter,
    act: (action) => {
      actions.push(action);
      reporter.line(describe(action));
    },
  };
  const { deployment } = connection.target;
  const failures: Error[] = [];
  const attempt: Attempt = async (doing, step) => {
    try {
      await step();
      return true;
    } catch (error) {
      const fault = diagnose(error, connection.circumstances, doing);
      // On a lost connection all further steps would fail too; a defect must surface at once.
      if (isConnectionError(error) || !(fault instanceof Fault)) throw fault;
      if (failures.length > 0) reporter.warn(fault.message);
      failures.push(fault);
      await connection.restoreSession();
      return false;
    }
  };
  if (deployment) {
    await attempt('Writing the settings', async () =>
      followSettings(run, await readRegistry(run), deployment.partitions),
    );
  }
  const standing = await standingOf(connection);
  const settled = failures.length === 0;
  const registry = await readRegistry(run);
  await attempt('Months ahead', () => createMonthsAhead(run));
  // Before partitions are removed: erasing a record individually leaves its key and hash in the audit trail.
  await attempt('Records past retention', () => eraseExpired(run, options));
  // Before partitions are removed: only sealed rows may go.
  await attempt('Sealing the audit trail', () => sealTrail(run));
  // If writing the settings failed, the old numbers must not decide which partitions are dropped.
  const tables = registry.map(({ table }) => table);
  if (standing === 'owner') {
    if (settled) await detachExpired(run, tables, options, attempt);
    await attempt('Holes between months', () => fillHoles(run));
    await attempt('The closings of the audit trail', () =>
      asRole(connection, 'admin_role', () => requireRightfulClosings({ connection })),
    );
    for (const table of tables) await attempt(`Statistics of ${table}`, () => analyze(run, table));
  } else {
    if (settled) await removeExpired(run, attempt);
    await attempt('Holes between months', () => fillHoles(run));
    await attempt('Statistics', () => analyzeAll(run, tables));
  }
  await attempt('The performance summary', () => refresh(run));
  const [first] = failures;
  if (first) throw first;
  return actions;
}

async function sealTrail(run: Run): Promise<void> {
  const rows = await seal(run.connection);
  if (rows === 0) return;
  const detail = counted(rows, 'row');
  run.act({ step: 'seals', done: 'sealed', object: 'audit_trail', rows, detail });
}

/** The fields of a notice that pg passes on. */
interface Notice {
  readonly severity?: string | undefined;
  readonly message?: string | undefined;
}

async function eraseExpired(
  run: Run,
  { batchSize = 1000, eraseSeconds = 900 }: MaintainOptions,
): Promise<void> {
  const start = performance.now();
  let rows = 0;
  let more = true;
  // By tenant: each batch repeats the warning.
  const warnings = new Set<string>();
  const note = ({ severity, message = '' }: Notice) => {
    if (severity === 'WARNING') warnings.add(message);
  };
  run.connection.client.on('notice', note);
  try {
    while (more && performance.now() - start < eraseSeconds * 1000) {
      const erased = await asMaintenance(run.connection, () =>
        briefly(run, 'Erasing records past retention', () => eraseBatch(run, batchSize)),
      );
      rows += erased;
      more = erased > 0;
    }
  } finally {
    run.connection.client.off('notice', note);
    // Earlier batches are committed even if the last one failed.
    if (rows > 0) {
      const detail = `${counted(rows, 'row')} past storage_retention_days of their tenant${more ? '; the next run erases more' : ''}`;
      run.act({ step: 'records', done: 'erased', object: 'storage_records', rows, detail });
    }
  }
  const [first, ...others] = warnings;
  if (first === undefined) return;
  for (const warning of others) run.reporter.warn(warning);
  throw new Fault(
    'maintain/records-not-erased',
    `Records past retention of ${counted(warnings.size, 'tenant')} are not erased`,
    first,
    'Correct the cause and run llama-db maintain again; the records of the other tenants are erased.',
  );
}

async function eraseBatch({ connection }: Run, batchSize: number): Promise<number> {
  const { rows } = await connection.client.query<{ erased: number }>(
    'SELECT llama.apply_retention($1) AS erased',
    [batchSize],
  );
  return rows[0]?.erased ?? 0;
}

async function analyze(run: Run, table: string): Promise<void> {
  const { client } = run.connection;
  await asOwner(run.connection, () =>
    briefly(run, `Analyzing ${table}`, () => client.query(`ANALYZE llama.${client.escapeIdentifier(table)}`)),
  );
  run.act({ step: 'statistics', done: 'analyzed', object: table });
}

/** In one transaction: only the owner may analyze a single table. */
async function analyzeAll(run: Run, tables: readonly string[]): Promise<void> {
  await briefly(run, 'Analyzing the partitioned tables', () =>
    run.connection.client.query('SELECT llama.analyze_partitioned_tables()'),
  );
  for (const object of tables) run.act({ step: 'statistics', done: 'analyzed', object });
}

async function refresh(run: Run): Promise<void> {
  await asMaintenance(run.connection, () =>
    briefly(run, 'Refreshing tenant_performance_summary', () =>
      run.connection.client.query('SELECT llama.refresh_performance_views()'),
    ),
  );
  run.act({ step: 'summary', done: 'refreshed', object: 'tenant_performance_summary' });
}
