/** The parts of the probe, and the run of all of them. */
import { randomUUID } from 'node:crypto';
import { messageOf } from '../../core/text.ts';
import { rolledBack } from '../../database/transaction.ts';
import type { CheckInput } from '../check.ts';
import { nameOf, tenantColumn, tenantRole, auditTable as trail } from '../model.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { type Part, Probe, Unproven } from './probe.ts';
import { countRows, insertRow, quote, updateRows } from './statements.ts';

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

/** One part of the probe; all parts run once per snapshot. */
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
      return all({ skipped: `rows of two tenants could not be planted: ${messageOf(error)}` });
    }
    const results = all({ skipped: 'not run' });
    for (const name of Object.keys(parts) as PartName[]) results[name] = await probe.section(parts[name]);
    return results;
  });
}

const records = 'llama.storage_records';
/** The view over the summary that tenants may read. */
const tenantView = 'llama.tenant_performance';

/** Runs first, because a tenant that was set once is '' and never unset again in this session. */
async function withoutTenant(probe: Probe): Promise<void> {
  const everything = async (state: string) => {
    for (const table of [...probe.tables.map(nameOf), tenantView]) {
      await probe.mustMiss(table, `read it with ${state} tenant`, countRows(table, 'true'));
    }
    await probe.mustRefuse(
      records,
      `insert with ${state} tenant`,
      probe.insert(probe.table(records), probe.mine),
    );
  };
  await everything('no');
  await probe.tenant('');
  await everything("an empty ('')");
}

async function own(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const mustReach = async (object: string, deed: string, sql: string) => {
    const end = await probe.attempt(sql);
    const rows = end === 'refused' ? 0 : end.count;
    if (rows === 0) probe.find(object, `${tenantRole} cannot ${deed} of its own tenant`);
  };
  const mine = `${tenantColumn} = ${quote(probe.mine)}`;
  for (const table of [...probe.planted.map(nameOf), trail]) {
    await mustReach(table, 'read rows', `SELECT 1 FROM ${table} WHERE ${mine} LIMIT 1`);
  }
  const id = quote(randomUUID());
  const record = `${mine} AND id = ${id}`;
  await mustReach(
    records,
    'insert a record',
    insertRow(probe.snapshot, probe.table(records), probe.mine, { id }),
  );
  await mustReach(
    records,
    'update a record',
    `UPDATE ${records} SET model_version = 'verify 2' WHERE ${record}`,
  );
  await mustReach(records, 'delete a record', `DELETE FROM ${records} WHERE ${record}`);
  for (const table of ['llama.model_metrics', 'llama.detector_executions']) {
    await mustReach(table, 'insert a row', probe.insert(probe.table(table), probe.mine));
  }
}

async function foreignReads(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const foreign = `${tenantColumn} <> ${quote(probe.mine)}`;
  const tables = probe.tables.map(nameOf);
  for (const table of [...tables, tenantView, 'llama.tenant_performance_summary']) {
    await probe.mustMiss(table, 'read rows of other tenants', countRows(table, foreign));
  }
  // An error that a hidden row raises would reveal the row.
  for (const table of tables) {
    const trap = `1 / (CASE WHEN ${foreign} THEN 0 ELSE 1 END) = 1`;
    const end = await probe.attempt(countRows(table, trap)).catch((error: unknown) => {
      if (!(error instanceof Unproven) || !/division by zero/.test(error.message)) throw error;
      return 'revealed' as const;
    });
    if (end === 'revealed') probe.find(table, 'an error reveals rows that the policies hide');
  }
  await probe.mustMiss(
    records,
    'lock rows of other tenants',
    `SELECT 1 FROM ${records} WHERE ${tenantColumn} = ${quote(probe.theirs)} FOR UPDATE`,
  );
}

async function foreignInserts(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  // The planted rows of the other tenant must not be in the way of a table with one row per tenant.
  const other = `${probe.theirs}-2`;
  for (const table of probe.planted) {
    await probe.mustRefuse(nameOf(table), 'insert a row for another tenant', probe.insert(table, other));
  }
}

async function foreignChanges(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const { snapshot, mine, theirs } = probe;
  for (const table of probe.tables) {
    const name = nameOf(table);
    await probe.mustMiss(
      name,
      'update a row of another tenant',
      updateRows(snapshot, table, theirs, tenantRole),
    );
    await probe.mustMiss(
      name,
      'delete a row of another tenant',
      `DELETE FROM ${name} WHERE ${tenantColumn} = ${quote(theirs)}`,
    );
  }
  await probe.mustRefuse(
    records,
    'give a row to another tenant',
    `UPDATE ${records} SET ${tenantColumn} = ${quote(theirs)} WHERE ${tenantColumn} = ${quote(mine)}`,
  );
}

async function leaves(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const current = probe.currentLeaves();
  if (current.length === 0) throw new Unproven('no table has a partition for the current month');
  for (const { leaf, parent } of current) {
    const name = nameOf(leaf);
    await probe.mustMiss(name, 'read the partition directly', countRows(name, 'true'));
    await probe.mustMiss(name, 'delete from the partition directly', `DELETE FROM ${name}`);
    await probe.mustRefuse(name, 'lock the partition', `LOCK TABLE ${name} IN ACCESS SHARE MODE NOWAIT`);
    if (probe.planted.includes(parent)) {
      await probe.mustRefuse(
        name,
        'insert into the partition directly',
        probe.insert(parent, probe.theirs, leaf),
      );
    }
  }
}

async function escapes(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const attempts: readonly (readonly [string, string, string])[] = [
    ['llama.storage_records', 'truncate it', 'TRUNCATE llama.storage_records'],
    ['llama.audit_trail', 'truncate it', 'TRUNCATE llama.audit_trail'],
    [
      'llama.storage_records',
      'disable row-level security',
      'ALTER TABLE llama.storage_records DISABLE ROW LEVEL SECURITY',
    ],
    [
      'llama.storage_records',
      'disable its triggers',
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
      'disable all triggers',
      "SET LOCAL session_replication_role = 'replica'",
    ],
  ];
  for (const [object, deed, sql] of attempts) await probe.mustRefuse(object, deed, sql);
  // Without policies the query would return every row, so the server must refuse it.
  await probe.attempt('SET LOCAL row_security = off');
  await probe.mustRefuse('parameter row_security', 'read with policies off', countRows(records, 'true'));
}

async function auditRows(probe: Probe): Promise<void> {
  const correlation = randomUUID();
  const id = randomUUID();
  await probe.attempt(
    `SELECT llama.set_tenant_context(${quote(probe.mine)}, 'verify-user', ${quote(correlation)}, '192.0.2.1', 'verify-agent')`,
  );
  const record = `tenant_id = ${quote(probe.mine)} AND id = ${quote(id)}`;
  await probe.attempt(insertRow(probe.snapshot, probe.table(records), probe.mine, { id: quote(id) }));
  await probe.attempt(`UPDATE ${records} SET model_version = 'verify 2' WHERE ${record}`);
  await probe.attempt(`DELETE FROM ${records} WHERE ${record}`);
  const end = await probe.attempt(
    `SELECT operation, table_name, user_id, correlation_id, host(ip_address) AS address, user_agent,
            old_values IS NOT NULL AS old, new_values IS NOT NULL AS new
       FROM ${trail}
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
      probe.find(trail, `${operation} of a storage record wrote no row`);
      continue;
    }
    const wrong = Object.entries({ ...shared, old, new: fresh }).filter(
      ([name, value]) => row[name] !== value,
    );
    if (wrong.length > 0) {
      const list = wrong.map(([name]) => `${name} is ${row[name]}`).join(', ');
      probe.find(trail, `${operation} of a storage record: ${list}`);
    }
  }
}

async function auditChanges(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  await probe.mustRefuse(
    trail,
    'write into it',
    `INSERT INTO ${trail} (tenant_id, table_name, operation, record_key) VALUES (${quote(probe.mine)}, 'verify', 'INSERT', 'verify')`,
  );
  for (const role of [tenantRole, 'admin_role', 'llama_owner'] as const) {
    await probe.become(role);
    for (const [deed, sql] of [
      ['change a row', `UPDATE ${trail} SET user_id = 'nobody' WHERE tenant_id = ${quote(probe.mine)}`],
      ['delete a row', `DELETE FROM ${trail} WHERE tenant_id = ${quote(probe.mine)}`],
    ] as const) {
      const end = await probe.attempt(sql);
      if (end !== 'refused' && end.count > 0) probe.find(trail, `${role} can ${deed}`);
    }
  }
}
