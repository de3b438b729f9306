/**
 * The live probe: two tenants' rows are planted, and the application role tries what it must not be able to do.
 *
 * Everything happens in one transaction that is always rolled back. A refusal counts only when the server gave
 * the reason that was expected: an attempt that failed for another reason has proved nothing, and says so.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { messageOf } from '../core/text.ts';
import { sqlState } from '../database/diagnosis.ts';
import { month, parseBounds } from '../database/maintain/months.ts';
import { rolledBack } from '../database/transaction.ts';
import type { CheckInput, Finding } from './check.ts';
import { modelOf, nameOf, tenantRole } from './model.ts';
import type { Relation, Snapshot } from './snapshot/snapshot.ts';

/** What one part of the probe found; `skipped` when it could not be carried out. */
export type Part =
  | { readonly tried: number; readonly findings: readonly Finding[] }
  | { readonly skipped: string };

const parts = {
  withoutTenant,
  own,
  foreignReads,
  foreignInserts,
  foreignChanges,
  leaves,
  escapes,
  auditRows,
  auditChanges,
} as const;

export type PartName = keyof typeof parts;

const probes = new WeakMap<Snapshot, Promise<Readonly<Record<PartName, Part>>>>();

/** One part of the probe of this look at the database; the whole of it runs once. */
export async function probed(input: CheckInput, part: PartName): Promise<Part> {
  let probe = probes.get(input.snapshot);
  if (!probe) {
    probe = run(input);
    probes.set(input.snapshot, probe);
  }
  return (await probe)[part];
}

async function run({ client, snapshot }: CheckInput): Promise<Readonly<Record<PartName, Part>>> {
  const all = (part: Part) => {
    const entries = Object.keys(parts).map((name) => [name, part]);
    return Object.fromEntries(entries) as Record<PartName, Part>;
  };
  if (snapshot.server.inRecovery) return all({ skipped: 'the server is in recovery and takes no writes' });
  return rolledBack(client, async () => {
    const probe = new Probe(client, snapshot);
    try {
      await probe.plant();
    } catch (error) {
      return all({ skipped: `two tenants' rows could not be planted: ${messageOf(error)}` });
    }
    const results = all({ skipped: 'not reached' });
    for (const name of Object.keys(parts) as PartName[]) results[name] = await probe.section(parts[name]);
    return results;
  });
}

/** What a statement may end with: it was carried out, or it was refused for want of a right. */
type Ended = { readonly rows: readonly Record<string, unknown>[]; readonly count: number } | 'refused';

const insufficientPrivilege = '42501';

/** Written as text, so that a statement and its savepoint travel together. */
const quote = pg.escapeLiteral;

class Probe {
  readonly #client: pg.Client;
  readonly snapshot: Snapshot;
  readonly #mark = `verify-${randomBytes(6).toString('hex')}`;
  readonly mine = `${this.#mark}-a`;
  readonly theirs = `${this.#mark}-b`;
  #tried = 0;
  #findings: Finding[] = [];

  constructor(client: pg.Client, snapshot: Snapshot) {
    this.#client = client;
    this.snapshot = snapshot;
  }

  /** Rows of both tenants in every table that an administrator may write; the trail gets its rows by trigger. */
  async plant(): Promise<void> {
    await this.become('admin_role');
    for (const tenant of [this.mine, this.theirs]) {
      await this.#client.query(
        `INSERT INTO llama.tenant_configs (tenant_id) VALUES (${quote(tenant)});
         ${storageRecord(tenant)}; ${modelMetric(tenant)}; ${detectorExecution(tenant)}`,
      );
    }
    await this.become(tenantRole);
  }

  /** Runs one part as the application role with tenant `mine`. */
  async section(part: (probe: Probe) => Promise<void>): Promise<Part> {
    this.#tried = 0;
    this.#findings = [];
    await this.#client.query('SAVEPOINT section');
    try {
      await part(this);
      return { tried: this.#tried, findings: this.#findings };
    } catch (error) {
      if (sqlState(error) === undefined && !(error instanceof Unproven)) throw error;
      return { skipped: `could not be tried: ${messageOf(error)}` };
    } finally {
      await this.#client.query('ROLLBACK TO SAVEPOINT section; RELEASE SAVEPOINT section');
    }
  }

  async become(role: string): Promise<void> {
    await this.#client.query(`SET LOCAL ROLE ${pg.escapeIdentifier(role)}`);
  }

  /** Says whose data the transaction works on. */
  async tenant(name: string): Promise<void> {
    await this.#client.query("SELECT set_config('app.current_tenant_id', $1, true)", [name]);
  }

  /** Carries a statement out, or takes it back when it is refused. Any other end is an error. */
  async attempt(sql: string): Promise<Ended> {
    this.#tried += 1;
    try {
      // One message for three statements: the probe's cost is its round trips.
      const results: unknown = await this.#client.query(
        `SAVEPOINT attempt; ${sql}; RELEASE SAVEPOINT attempt`,
      );
      const [, result] = results as pg.QueryResult[];
      return { rows: result?.rows ?? [], count: result?.rowCount ?? 0 };
    } catch (error) {
      if (sqlState(error) === undefined) throw error;
      await this.#client.query('ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt');
      if (sqlState(error) === insufficientPrivilege) return 'refused';
      throw new Unproven(`${sql.replace(/\s+/g, ' ').slice(0, 60)}… ended with: ${messageOf(error)}`);
    }
  }

  find(object: string, detail: string): void {
    this.#findings.push({ object, detail });
  }

  /** A statement that must be refused. */
  async mustRefuse(object: string, deed: string, sql: string): Promise<void> {
    if ((await this.attempt(sql)) !== 'refused') this.find(object, `${tenantRole} can ${deed}`);
  }

  /** A statement that must touch or show no row; a refusal is as good. */
  async mustMiss(object: string, deed: string, sql: string): Promise<void> {
    const end = await this.attempt(sql);
    if (end === 'refused') return;
    const rows =
      end.rows.length === 1 && 'rows' in (end.rows[0] ?? {}) ? Number(end.rows[0]?.['rows']) : end.count;
    if (rows > 0) this.find(object, `${tenantRole} can ${deed}: ${rows} ${rows === 1 ? 'row' : 'rows'}`);
  }

  /** The leaf of each partitioned table that holds now. */
  currentLeaves(): readonly { readonly leaf: Relation; readonly parent: Relation }[] {
    const model = modelOf(this.snapshot);
    const now = this.snapshot.server.now;
    return model.partitioned.flatMap((parent) => {
      const leaf = model
        .leavesOf(parent)
        .find(({ bound }) => parseBounds(bound)?.from.getTime() === month(now).getTime());
      return leaf ? [{ leaf, parent }] : [];
    });
  }
}

/** The server refused for a reason that proves nothing. */
class Unproven extends Error {}

const tables = [
  'storage_records',
  'audit_trail',
  'tenant_configs',
  'model_metrics',
  'detector_executions',
].map((name) => `llama.${name}`);

function storageRecord(tenant: string, id: string = randomUUID()): string {
  return `INSERT INTO llama.storage_records (id, tenant_id, source_data_hash, mapped_data, model_version, detector_type)
    VALUES (${quote(id)}, ${quote(tenant)}, 'verify', '{}', 'verify', 'verify')`;
}

function modelMetric(tenant: string): string {
  return `INSERT INTO llama.model_metrics (model_version, tenant_id, metric_type, metric_value)
    VALUES ('verify', ${quote(tenant)}, 'verify', 0)`;
}

function detectorExecution(tenant: string): string {
  return `INSERT INTO llama.detector_executions (tenant_id, detector_type, execution_time_ms, success)
    VALUES (${quote(tenant)}, 'verify', 0, true)`;
}

const rowsOf = (table: string, condition: string) =>
  `SELECT count(*)::int AS rows FROM ${table} WHERE ${condition}`;

/** First of all, because a tenant that was set once is '' and never unset again in this session. */
async function withoutTenant(probe: Probe): Promise<void> {
  const everything = async (state: string) => {
    for (const table of [...tables, 'llama.tenant_performance']) {
      await probe.mustMiss(table, `read it with ${state} tenant`, rowsOf(table, 'true'));
    }
    await probe.mustRefuse('llama.storage_records', `insert with ${state} tenant`, storageRecord(probe.mine));
  };
  await everything('no');
  await probe.tenant('');
  await everything("an emptied ('')");
}

async function own(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const id = randomUUID();
  const mustReach = async (object: string, deed: string, sql: string) => {
    const end = await probe.attempt(sql);
    const rows = end === 'refused' ? 0 : end.count;
    if (rows === 0) probe.find(object, `${tenantRole} cannot ${deed} of its own tenant`);
  };
  for (const table of tables) {
    await mustReach(
      table,
      'read rows',
      `SELECT 1 FROM ${table} WHERE tenant_id = ${quote(probe.mine)} LIMIT 1`,
    );
  }
  await mustReach('llama.storage_records', 'insert a record', storageRecord(probe.mine, id));
  const record = `tenant_id = ${quote(probe.mine)} AND id = ${quote(id)}`;
  await mustReach(
    'llama.storage_records',
    'update a record',
    `UPDATE llama.storage_records SET model_version = 'verify 2' WHERE ${record}`,
  );
  await mustReach(
    'llama.storage_records',
    'delete a record',
    `DELETE FROM llama.storage_records WHERE ${record}`,
  );
  await mustReach('llama.model_metrics', 'insert a metric', modelMetric(probe.mine));
  await mustReach('llama.detector_executions', 'insert an execution', detectorExecution(probe.mine));
}

async function foreignReads(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const foreign = `tenant_id <> ${quote(probe.mine)}`;
  for (const table of [...tables, 'llama.tenant_performance']) {
    await probe.mustMiss(table, "read other tenants' rows", rowsOf(table, foreign));
  }
  await probe.mustMiss(
    'llama.tenant_performance_summary',
    "read other tenants' figures",
    rowsOf('llama.tenant_performance_summary', foreign),
  );
  // An error raised on a hidden row would tell that it is there.
  for (const table of tables) {
    const trap = `1 / (CASE WHEN tenant_id <> ${quote(probe.mine)} THEN 0 ELSE 1 END) = 1`;
    const end = await probe.attempt(rowsOf(table, trap)).catch((error: unknown) => {
      if (!(error instanceof Unproven) || !/division by zero/.test(error.message)) throw error;
      return 'told' as const;
    });
    if (end === 'told') probe.find(table, 'an error tells of rows that the policies hide');
  }
  await probe.mustMiss(
    'llama.storage_records',
    "lock other tenants' rows",
    `SELECT 1 FROM llama.storage_records WHERE tenant_id = ${quote(probe.theirs)} FOR UPDATE`,
  );
}

async function foreignInserts(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const deed = 'insert a row for another tenant';
  await probe.mustRefuse('llama.storage_records', deed, storageRecord(probe.theirs));
  await probe.mustRefuse('llama.model_metrics', deed, modelMetric(probe.theirs));
  await probe.mustRefuse('llama.detector_executions', deed, detectorExecution(probe.theirs));
  await probe.mustRefuse(
    'llama.tenant_configs',
    deed,
    `INSERT INTO llama.tenant_configs (tenant_id) VALUES (${quote(`${probe.theirs}-2`)})`,
  );
}

async function foreignChanges(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const theirs = `tenant_id = ${quote(probe.theirs)}`;
  const update: Readonly<Record<string, string>> = {
    'llama.storage_records': "model_version = 'verify 3'",
    'llama.tenant_configs': 'confidence_threshold = 0',
    'llama.model_metrics': 'metric_value = 1',
    'llama.detector_executions': 'success = false',
  };
  for (const [table, change] of Object.entries(update)) {
    await probe.mustMiss(
      table,
      "update another tenant's row",
      `UPDATE ${table} SET ${change} WHERE ${theirs}`,
    );
    await probe.mustMiss(table, "delete another tenant's row", `DELETE FROM ${table} WHERE ${theirs}`);
  }
  await probe.mustRefuse(
    'llama.storage_records',
    'give a row to another tenant',
    `UPDATE llama.storage_records SET tenant_id = ${quote(probe.theirs)} WHERE tenant_id = ${quote(probe.mine)}`,
  );
}

async function leaves(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const current = probe.currentLeaves();
  if (current.length === 0) throw new Unproven('no table has a partition for now');
  for (const { leaf } of current) {
    const name = nameOf(leaf);
    await probe.mustMiss(name, 'read the partition directly', rowsOf(name, 'true'));
    await probe.mustMiss(name, 'delete from the partition directly', `DELETE FROM ${name}`);
    await probe.mustRefuse(name, 'lock the partition', `LOCK TABLE ${name} IN ACCESS SHARE MODE NOWAIT`);
  }
  for (const { leaf, parent } of current) {
    const statement = [storageRecord, modelMetric, detectorExecution]
      .map((make) => make(probe.theirs))
      .find((sql) => sql.includes(`INTO ${nameOf(parent)} `));
    if (!statement) continue;
    const direct = statement.replace(`INTO ${nameOf(parent)} `, `INTO ${nameOf(leaf)} `);
    await probe.mustRefuse(nameOf(leaf), 'insert into the partition directly', direct);
  }
}

async function escapes(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const attempts: readonly (readonly [string, string, string])[] = [
    ['llama.storage_records', 'truncate it', 'TRUNCATE llama.storage_records'],
    ['llama.audit_trail', 'truncate it', 'TRUNCATE llama.audit_trail'],
    [
      'llama.storage_records',
      'switch row-level security off',
      'ALTER TABLE llama.storage_records DISABLE ROW LEVEL SECURITY',
    ],
    [
      'llama.storage_records',
      'switch its triggers off',
      'ALTER TABLE llama.storage_records DISABLE TRIGGER ALL',
    ],
    ['llama.storage_records', 'add a policy', 'CREATE POLICY verify ON llama.storage_records USING (true)'],
    [
      'schema llama',
      'create a function in it',
      "CREATE FUNCTION llama.verify() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
    ['schema public', 'create a table in it', 'CREATE TABLE public.verify (n int)'],
    ['database', 'create a temporary table', 'CREATE TEMPORARY TABLE verify (n int)'],
    [
      'parameter session_replication_role',
      'switch all triggers off',
      "SET LOCAL session_replication_role = 'replica'",
    ],
  ];
  for (const [object, deed, sql] of attempts) await probe.mustRefuse(object, deed, sql);
  // The server must refuse the query: without policies it would show everything.
  await probe.attempt('SET LOCAL row_security = off');
  await probe.mustRefuse(
    'parameter row_security',
    'read with policies off',
    rowsOf('llama.storage_records', 'true'),
  );
}

async function auditRows(probe: Probe): Promise<void> {
  const correlation = randomUUID();
  const id = randomUUID();
  await probe.attempt(
    `SELECT llama.set_tenant_context(${quote(probe.mine)}, 'verify-user', ${quote(correlation)}, '192.0.2.1', 'verify-agent')`,
  );
  const record = `tenant_id = ${quote(probe.mine)} AND id = ${quote(id)}`;
  await probe.attempt(storageRecord(probe.mine, id));
  await probe.attempt(`UPDATE llama.storage_records SET model_version = 'verify 2' WHERE ${record}`);
  await probe.attempt(`DELETE FROM llama.storage_records WHERE ${record}`);
  const end = await probe.attempt(
    `SELECT operation, table_name, user_id, correlation_id, host(ip_address) AS address, user_agent,
            old_values IS NOT NULL AS old, new_values IS NOT NULL AS new
       FROM llama.audit_trail
      WHERE tenant_id = ${quote(probe.mine)} AND record_id = ${quote(id)}`,
  );
  const rows = end === 'refused' ? [] : end.rows;
  const shared = {
    table_name: 'storage_records',
    user_id: 'verify-user',
    correlation_id: correlation,
    address: '192.0.2.1',
    user_agent: 'verify-agent',
  };
  for (const [operation, old, fresh] of [
    ['INSERT', false, true],
    ['UPDATE', true, true],
    ['DELETE', true, false],
  ] as const) {
    const row = rows.find((candidate) => candidate['operation'] === operation);
    if (!row) {
      probe.find('llama.audit_trail', `${operation} of a storage record left no row`);
      continue;
    }
    const wrong = Object.entries({ ...shared, old, new: fresh }).filter(
      ([name, value]) => row[name] !== value,
    );
    if (wrong.length > 0) {
      const list = wrong.map(([name]) => `${name} is ${row[name]}`).join(', ');
      probe.find('llama.audit_trail', `${operation} of a storage record: ${list}`);
    }
  }
}

async function auditChanges(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const trail = 'llama.audit_trail';
  await probe.mustRefuse(
    trail,
    'write into it',
    `INSERT INTO ${trail} (tenant_id, table_name, operation, record_key) VALUES (${quote(probe.mine)}, 'verify', 'INSERT', 'verify')`,
  );
  for (const role of [tenantRole, 'admin_role', 'llama_owner'] as const) {
    await probe.become(role);
    for (const [deed, sql] of [
      ['change a row', `UPDATE ${trail} SET user_id = 'nobody' WHERE tenant_id = ${quote(probe.mine)}`],
      ['remove a row', `DELETE FROM ${trail} WHERE tenant_id = ${quote(probe.mine)}`],
    ] as const) {
      const end = await probe.attempt(sql);
      if (end !== 'refused' && end.count > 0) probe.find(trail, `${role} can ${deed}`);
    }
  }
}
