/** Row-level security in the catalogs: tables and policies. */
import {
  isTenantBound,
  readsSettingPerRow,
  readsTenantUnsafely,
  viewReadsTenantUnsafely,
} from '../../database/schema/policy.ts';
import { checksOf, type Finding } from '../check.ts';
import { foreignGrants, granted, modelOf, nameOf, tenantColumn, tenantRole } from '../model.ts';
import { counted, judge } from '../outcome.ts';
import { grantsOn } from '../reach.ts';
import type { Policy, Relation, Snapshot } from '../snapshot/snapshot.ts';

const tables = (snapshot: Snapshot) => counted(modelOf(snapshot).tenantTables.length, 'tenant table');
const leaves = (snapshot: Snapshot) => counted(modelOf(snapshot).leaves.length, 'leaf', 'leaves');

/** Policies of a table that apply to a role: by name, by membership or through PUBLIC. */
function policiesFor(snapshot: Snapshot, table: Relation, role: string): readonly Policy[] {
  const rights = modelOf(snapshot).rightsOf(role);
  return snapshot.policies.filter(
    ({ relation, roles }) => relation === table.oid && roles.some((name) => rights.has(name)),
  );
}

function conditionsOf({ using, check }: Policy): readonly string[] {
  return [using, check].filter((condition) => condition !== null);
}

function policyName(snapshot: Snapshot, policy: Policy): string {
  const table = modelOf(snapshot).relation(policy.relation);
  return `policy ${policy.name} on ${table ? nameOf(table) : policy.relation}`;
}

export const checks = checksOf('isolation', [
  {
    id: 'ISO-001',
    name: 'tenant-tables-enable-row-security',
    loses: 'isolation',
    title: 'Row-level security is enabled on every tenant table',
    inspects:
      'pg_class.relrowsecurity of every table and partitioned table of schema llama with a column tenant_id',
    why: 'Without it policies are inactive, and every role with SELECT reads every tenant. A partitioned table counts even if all its leaves are protected, because queries go through the parent.',
    remedy: 'ALTER TABLE … ENABLE ROW LEVEL SECURITY, in a migration.',
    source: 'docs/decisions.md, 15; splinter 0007 and 0013 (which misses partitioned parents); pgrls SEC001',
    run: ({ snapshot }) =>
      judge(
        tables(snapshot),
        modelOf(snapshot)
          .tenantTables.filter(({ rls }) => !rls)
          .map((table) => ({ object: nameOf(table), detail: 'row-level security is off' })),
      ),
  },
  {
    id: 'ISO-002',
    name: 'tenant-tables-force-row-security',
    loses: 'barrier',
    title: 'Row-level security is forced on every tenant table',
    inspects: 'pg_class.relforcerowsecurity of every tenant table',
    why: 'Without FORCE the policies do not apply to the owner, so every SECURITY DEFINER function and view of the owner sees all tenants.',
    remedy: 'ALTER TABLE … FORCE ROW LEVEL SECURITY, in a migration.',
    source: 'docs/decisions.md, 15; pgrls SEC002; PostgreSQL manual, Row Security Policies',
    run: ({ snapshot }) =>
      judge(
        tables(snapshot),
        modelOf(snapshot)
          .tenantTables.filter(({ forcedRls }) => !forcedRls)
          .map((table) => ({
            object: nameOf(table),
            detail: `policies do not apply to its owner ${table.owner}`,
          })),
      ),
  },
  {
    id: 'ISO-003',
    name: 'leaves-enable-row-security',
    loses: 'isolation',
    title: 'Row-level security is enabled on every leaf, including detached ones',
    inspects: 'pg_class.relrowsecurity of every partition and of every table that was one',
    why: 'The policies of a parent do not apply to a leaf that a query names directly. With one excess grant the rows of all tenants in that month are readable.',
    remedy:
      'ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY on the leaf. Create leaves only with llama.create_monthly_partition.',
    source: 'docs/decisions.md, 14; reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) =>
      judge(
        leaves(snapshot),
        modelOf(snapshot)
          .leaves.filter(({ rls }) => !rls)
          .map((leaf) => ({ object: nameOf(leaf), detail: 'row-level security is off' })),
      ),
  },
  {
    id: 'ISO-004',
    name: 'leaves-granted-to-owner-only',
    loses: 'isolation',
    title: 'Only the owner has privileges on a leaf',
    inspects: 'pg_class.relacl and pg_attribute.attacl of every leaf',
    why: 'Queries reach leaves through the parent and need no privilege on them. GRANT … ON ALL TABLES and default privileges grant them by accident.',
    remedy: 'REVOKE ALL ON TABLE … FROM the role, and grant on the parent.',
    source: 'docs/decisions.md, 14; reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const oids = new Map(model.leaves.map((leaf) => [leaf.oid, leaf]));
      const columns = snapshot.columnGrants.flatMap((grant): readonly Finding[] => {
        const leaf = oids.get(grant.relation);
        return leaf ? granted(`${nameOf(leaf)}.${grant.column}`, foreignGrants([grant], leaf.owner)) : [];
      });
      const whole = model.leaves.flatMap((leaf) =>
        granted(nameOf(leaf), foreignGrants(leaf.grants, leaf.owner)),
      );
      return judge(leaves(snapshot), [...whole, ...columns]);
    },
  },
  {
    id: 'ISO-005',
    name: 'leaves-have-no-policy',
    loses: 'barrier',
    title: 'No leaf has its own policy',
    inspects: 'pg_policy of every leaf',
    why: 'Row-level security without a policy closes a leaf to direct access. A policy opens it again, in addition to the policies of the parent.',
    remedy: 'DROP POLICY … on the leaf, and write policies on the parent.',
    source: 'docs/decisions.md, 14',
    run: ({ snapshot }) => {
      const oids = new Set(modelOf(snapshot).leaves.map(({ oid }) => oid));
      return judge(
        leaves(snapshot),
        snapshot.policies
          .filter(({ relation }) => oids.has(relation))
          .map((policy) => ({
            object: policyName(snapshot, policy),
            detail: `opens the leaf to ${policy.roles.join(', ')}`,
          })),
      );
    },
  },
  {
    id: 'ISO-006',
    name: 'tenant-tables-have-floor-policy',
    loses: 'isolation',
    title: 'Every tenant table has a floor policy for the application role',
    inspects: `restrictive FOR ALL policies that apply to ${tenantRole}, and whether their conditions compare ${tenantColumn} with app.current_tenant_id`,
    why: 'Permissive policies are joined by OR, so one that is added later opens the table. A restrictive policy is joined by AND and cannot be widened.',
    remedy: `CREATE POLICY … AS RESTRICTIVE FOR ALL TO ${tenantRole} USING and WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.current_tenant_id', true), ''))), in a migration.`,
    source: 'docs/decisions.md, 15; pgrls SEC007',
    run: ({ snapshot }) =>
      judge(
        tables(snapshot),
        modelOf(snapshot)
          .tenantTables.filter(
            (table) =>
              !policiesFor(snapshot, table, tenantRole).some(
                (policy) =>
                  !policy.permissive &&
                  policy.command === '*' &&
                  policy.using !== null &&
                  conditionsOf(policy).every(isTenantBound),
              ),
          )
          .map((table) => ({
            object: nameOf(table),
            detail: `has no floor policy for ${tenantRole}`,
          })),
      ),
  },
  {
    id: 'ISO-007',
    name: 'tenant-policies-bind-tenant',
    loses: 'barrier',
    title: 'Every policy of the application role limits it to its tenant',
    inspects: `conditions of every permissive policy that applies to ${tenantRole}`,
    why: 'A policy that is always true, or has an OR beside the tenant, relies on the floor policy alone. The OR also prevents the use of an index.',
    remedy: 'Write the tenant condition into the policy, and give other roles their own policies (TO role).',
    source: 'docs/decisions.md, 15; pgrls SEC005, SEC008, SEC011; splinter 0024',
    run: ({ snapshot }) =>
      judge(
        tables(snapshot),
        modelOf(snapshot).tenantTables.flatMap((table) =>
          policiesFor(snapshot, table, tenantRole)
            .filter((policy) => policy.permissive && !conditionsOf(policy).every(isTenantBound))
            .map((policy) => ({
              object: policyName(snapshot, policy),
              detail: `does not limit ${tenantRole} to one tenant: ${conditionsOf(policy).join('; ')}`,
            })),
        ),
      ),
  },
  {
    id: 'ISO-008',
    name: 'policies-name-roles',
    loses: 'barrier',
    title: 'Every permissive policy names its roles',
    inspects: 'permissive policies of tenant tables without TO role',
    why: 'A policy for PUBLIC applies to every role that is ever granted the table, including the application role.',
    remedy: 'Drop the policy and create it again with TO role.',
    source: 'docs/decisions.md, 15; pgrls SEC003',
    run: ({ snapshot }) => {
      const oids = new Set(modelOf(snapshot).tenantTables.map(({ oid }) => oid));
      return judge(
        tables(snapshot),
        snapshot.policies
          .filter(
            (policy) => oids.has(policy.relation) && policy.permissive && policy.roles.includes('PUBLIC'),
          )
          .map((policy) => ({ object: policyName(snapshot, policy), detail: 'applies to PUBLIC' })),
      );
    },
  },
  {
    id: 'ISO-009',
    name: 'granted-tables-have-policy',
    loses: 'correctness',
    title: 'Every role that may read a tenant table has a policy that shows it rows',
    inspects: 'roles with SELECT on a tenant table, and the permissive policies that apply to them',
    why: 'With the privilege but no policy a role reads no rows and gets no error: a job reports success over zero rows.',
    remedy: 'Create a policy for the role, or revoke the privilege.',
    source:
      'splinter 0008; pgrls SEC009, SEC012, SEC032; a retention job of the owner that deleted 0 rows without an error',
    run: ({ snapshot }) => {
      const readers = (table: Relation) =>
        new Set(
          grantsOn(snapshot, table)
            .filter(({ privilege, grantee }) => privilege === 'SELECT' && grantee !== table.owner)
            .map(({ grantee }) => grantee),
        );
      return judge(
        tables(snapshot),
        modelOf(snapshot).tenantTables.flatMap((table) =>
          [...readers(table)]
            .filter(
              (role) =>
                !policiesFor(snapshot, table, role).some(
                  ({ permissive, command }) => permissive && (command === '*' || command === 'r'),
                ),
            )
            .map((role) => ({
              object: nameOf(table),
              detail: `${role} may SELECT, but no policy shows it a row`,
            })),
        ),
      );
    },
  },
  {
    id: 'ISO-010',
    name: 'policies-read-tenant-once-per-query',
    loses: 'time',
    title: 'Policies read the tenant once per query',
    inspects: 'current_setting() outside a subquery in the conditions of policies',
    why: 'Without an index a query over two million rows took 450-800 ms instead of 80-170 ms, because the server read the setting for every row.',
    remedy: 'Wrap the call: (SELECT nullif(current_setting(…, true), …)).',
    source:
      'pgrls PERF001; splinter 0003 (which reports the wrapped form with a cast as well); measured on PostgreSQL 15 and 18',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.policies.length, 'policy', 'policies'),
        snapshot.policies
          .filter((policy) => conditionsOf(policy).some(readsSettingPerRow))
          .map((policy) => ({
            object: policyName(snapshot, policy),
            detail: `reads a setting for every row: ${conditionsOf(policy).find(readsSettingPerRow)}`,
          })),
      ),
  },
  {
    id: 'ISO-011',
    name: 'empty-tenant-matches-no-rows',
    loses: 'barrier',
    title: 'An unset or empty tenant matches no rows',
    inspects: 'how policies and views read app.current_tenant_id',
    why: "After a transaction with SET LOCAL the setting is '' for the rest of the session, not NULL. Without missing_ok a new session gets an error instead of no rows.",
    remedy: "Read the tenant as nullif(current_setting('app.current_tenant_id', true), '').",
    source:
      'docs/decisions.md, 15; pgrls SEC019 (which accepts the form that fails); reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) => {
      const views = snapshot.relations.filter(({ definition }) => definition !== null);
      return judge(
        `${counted(snapshot.policies.length, 'policy', 'policies')}, ${counted(views.length, 'view')}`,
        [
          ...snapshot.policies
            .filter((policy) => conditionsOf(policy).some(readsTenantUnsafely))
            .map((policy) => policyName(snapshot, policy)),
          ...views.filter(({ definition }) => viewReadsTenantUnsafely(definition ?? '')).map(nameOf),
        ].map((object) => ({
          object,
          detail: "reads the tenant without missing_ok, or accepts '' as a tenant",
        })),
      );
    },
  },
  {
    id: 'ISO-012',
    name: 'tenant-column-not-null',
    loses: 'promise',
    title: 'The tenant column of every tenant table is NOT NULL',
    inspects: 'NOT NULL on the tenant column of every tenant table',
    why: 'No tenant sees a row without a tenant, and no retention or erasure finds it.',
    remedy: 'Add and validate a CHECK constraint, then ALTER TABLE … ALTER COLUMN tenant_id SET NOT NULL.',
    source: 'pgrls SEC030',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        tables(snapshot),
        model.tenantTables
          .filter((table) =>
            model.columnsOf(table).some(({ name, notNull }) => name === tenantColumn && !notNull),
          )
          .map((table) => ({ object: `${nameOf(table)}.${tenantColumn}`, detail: 'may be NULL' })),
      );
    },
  },
]);
