/**
 * The live probe: it plants rows of two tenants, and tries as the application role what the role must not be able to do.
 *
 * Everything happens in one transaction that is always rolled back. A refusal counts only if the server gives the expected
 * reason: an attempt that fails for another reason proves nothing and skips its check.
 */

import { randomUUID } from 'node:crypto';
import { messageOf } from '../core/text.ts';
import { adminRole } from '../database/schema/roles.ts';
import { rolledBack } from '../database/transaction.ts';
import type { CheckInput } from './check.ts';
import { modelOf, nameOf, owner, schema, tenantColumn, tenantRole } from './model.ts';
import { probedTables } from './probed-tables.ts';
import { type Part, Probe, quote, Unproven } from './probing.ts';
import type { Snapshot } from './snapshot/snapshot.ts';

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

async function run(input: CheckInput): Promise<Readonly<Record<PartName, Part>>> {
  const { client, snapshot } = input;
  const all = (part: Part) => {
    const entries = Object.keys(parts).map((name) => [name, part]);
    return Object.fromEntries(entries) as Record<PartName, Part>;
  };
  if (snapshot.server.inRecovery)
    return all({ skipped: 'the server is in recovery and takes no writes', standby: true });
  return rolledBack(client, async () => {
    const probe = new Probe(client, snapshot, probedTables(input));
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

const rowsOf = (table: string, condition: string) =>
  `SELECT count(*)::int AS rows FROM ${table} WHERE ${condition}`;

/** Views and materialized views with a tenant column. */
function viewsOf({ snapshot }: Probe): readonly string[] {
  const model = modelOf(snapshot);
  return snapshot.relations
    .filter((relation) => relation.schema === schema && 'vm'.includes(relation.kind))
    .filter((relation) => model.columnsOf(relation).some(({ name }) => name === tenantColumn))
    .map(nameOf);
}

/** Runs first, because a tenant that was set once is '' and never unset again in this session. */
async function withoutTenant(probe: Probe): Promise<void> {
  const everything = async (state: string) => {
    for (const name of [...probe.tables.map(({ name }) => name), ...viewsOf(probe)]) {
      await probe.mustMiss(name, `read it with ${state} tenant`, rowsOf(name, 'true'));
    }
    for (const table of probe.tables) {
      const insert = table.anyInsert(tenantRole, probe.fresh.mine);
      await probe.mustRefuse(table.name, `insert with ${state} tenant`, insert);
    }
  };
  await everything('no');
  await probe.tenant('');
  await everything("an empty ('')");
}

/** Everything that the migrations grant to the application role, on rows of its own tenant. */
async function own(probe: Probe): Promise<void> {
  const mustReach = async (object: string, deed: string, sql: string) => {
    const end = await probe.attempt(sql);
    const rows = end === 'refused' ? 0 : end.count;
    if (rows === 0) probe.find(object, `${tenantRole} cannot ${deed} of its own tenant`);
  };
  for (const table of probe.tables) {
    const { name, recent } = table;
    const may = (privilege: string) => table.granted(tenantRole, privilege).length > 0;
    await probe.tenant(probe.mine);
    if (may('SELECT')) {
      const mine = `tenant_id = ${quote(probe.mine)}`;
      await mustReach(name, 'read rows', `SELECT 1 FROM ${name} WHERE ${mine} LIMIT 1`);
    }
    const insert = table.insert(tenantRole, probe.fresh.mine);
    const writer = insert === undefined ? probe.mine : probe.fresh.mine;
    const rows = `tenant_id = ${quote(writer)}${recent}`;
    await probe.tenant(writer);
    if (insert !== undefined) await mustReach(name, 'insert a row', insert);
    if (may('UPDATE'))
      await mustReach(name, 'update a row', `UPDATE ${name} SET ${table.change} WHERE ${rows}`);
    if (may('DELETE')) await mustReach(name, 'delete a row', `DELETE FROM ${name} WHERE ${rows}`);
  }
}

async function foreignReads(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const foreign = `tenant_id <> ${quote(probe.mine)}`;
  for (const name of [...probe.tables.map(({ name }) => name), ...viewsOf(probe)]) {
    await probe.mustMiss(name, 'read rows of other tenants', rowsOf(name, foreign));
  }
  for (const { name, recent } of probe.tables) {
    // An error raised on a hidden row would show that it exists.
    const trap = `1 / (CASE WHEN tenant_id <> ${quote(probe.mine)} THEN 0 ELSE 1 END) = 1${recent}`;
    const end = await probe.attempt(rowsOf(name, trap)).catch((error: unknown) => {
      if (!(error instanceof Unproven) || !/division by zero/.test(error.message)) throw error;
      return 'raised' as const;
    });
    if (end === 'raised') probe.find(name, 'an error reveals rows that the policies hide');
    await probe.mustMiss(
      name,
      'lock rows of other tenants',
      `SELECT 1 FROM ${name} WHERE tenant_id = ${quote(probe.theirs)}${recent} FOR UPDATE`,
    );
  }
}

async function foreignInserts(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  for (const table of probe.tables) {
    const insert = table.anyInsert(tenantRole, probe.fresh.theirs);
    await probe.mustRefuse(table.name, 'insert a row for another tenant', insert);
  }
}

async function foreignChanges(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  for (const { name, change, recent } of probe.tables) {
    const theirs = `tenant_id = ${quote(probe.theirs)}${recent}`;
    await probe.mustMiss(
      name,
      'update a row of another tenant',
      `UPDATE ${name} SET ${change} WHERE ${theirs}`,
    );
    await probe.mustMiss(name, 'delete a row of another tenant', `DELETE FROM ${name} WHERE ${theirs}`);
    await probe.mustRefuse(
      name,
      'give a row to another tenant',
      `UPDATE ${name} SET tenant_id = ${quote(probe.theirs)} WHERE tenant_id = ${quote(probe.mine)}${recent}`,
    );
  }
}

async function leaves(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  const current = probe.currentLeaves();
  if (current.length === 0) throw new Unproven('no table has a partition for the current month');
  for (const { leaf, parent } of current) {
    const name = nameOf(leaf);
    await probe.mustMiss(name, 'read the partition directly', rowsOf(name, 'true'));
    await probe.mustMiss(name, 'delete from the partition directly', `DELETE FROM ${name}`);
    await probe.mustRefuse(name, 'lock the partition', `LOCK TABLE ${name} IN ACCESS SHARE MODE NOWAIT`);
    const table = probe.tables.find((one) => one.name === nameOf(parent));
    if (!table) continue;
    const insert = table.anyInsert(tenantRole, probe.fresh.theirs, name);
    await probe.mustRefuse(name, 'insert into the partition directly', insert);
  }
}

async function escapes(probe: Probe): Promise<void> {
  await probe.tenant(probe.mine);
  for (const { name } of probe.tables) {
    await probe.mustRefuse(name, 'truncate it', `TRUNCATE ${name}`);
    await probe.mustRefuse(
      name,
      'disable row-level security',
      `ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY`,
    );
    await probe.mustRefuse(name, 'disable its triggers', `ALTER TABLE ${name} DISABLE TRIGGER ALL`);
    await probe.mustRefuse(name, 'add a policy', `CREATE POLICY verify ON ${name} USING (true)`);
  }
  const attempts: readonly (readonly [string, string, string])[] = [
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
  for (const { name } of probe.tables) {
    await probe.mustRefuse('parameter row_security', `read ${name} with policies off`, rowsOf(name, 'true'));
  }
}

async function auditRows(probe: Probe): Promise<void> {
  const correlation = randomUUID();
  const id = randomUUID();
  // llama.set_tenant_context would release the lock of a deployment that verifies within its session.
  const context = {
    ...{ current_tenant_id: probe.mine, current_user_id: 'verify-user', correlation_id: correlation },
    ...{ client_address: '192.0.2.1', user_agent: 'verify-agent' },
  };
  const settings = Object.entries(context).map(
    ([name, value]) => `set_config('app.${name}', ${quote(value)}, true)`,
  );
  await probe.attempt(`SELECT ${settings.join(', ')}`);
  const record = `tenant_id = ${quote(probe.mine)} AND id = ${quote(id)}`;
  const records = probe.tables.find(({ name }) => name === `${schema}.storage_records`);
  if (!records) throw new Unproven('llama.storage_records does not exist');
  await probe.attempt(records.anyInsert(tenantRole, probe.mine, records.name, { id: quote(id) }));
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
      probe.find('llama.audit_trail', `${operation} of a storage record wrote no row`);
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
  for (const role of [tenantRole, adminRole, owner]) {
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
