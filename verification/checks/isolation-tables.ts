/** Row-level security as the catalogs have it: which tables, which policies. */
import {
  isTenantBound,
  readsSettingPerRow,
  readsTenantUnsafely,
  viewReadsTenantUnsafely,
} from '../../database/schema/policy.ts';
import { checksOf, type Finding } from '../check.ts';
import { describeGrants, foreignGrants, modelOf, nameOf, tenantColumn, tenantRole } from '../model.ts';
import { counted, judge } from '../outcome.ts';
import type { Policy, Relation, Snapshot } from '../snapshot/facts.ts';

const tables = (snapshot: Snapshot) => counted(modelOf(snapshot).tenantTables.length, "tenants' table");
const leaves = (snapshot: Snapshot) => counted(modelOf(snapshot).leaves.length, 'leaf', 'leaves');

/** Policies of one table that concern a role: named, inherited, or for everybody. */
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
    severity: 'critical',
    title: "Row-level security is enabled on every table that holds tenants' rows",
    inspects:
      'pg_class.relrowsecurity of every table and partitioned table of schema llama with a column tenant_id',
    why: 'Without it policies are dormant and every grantee reads every tenant. A partitioned parent counts even when all its leaves are protected: queries go through the parent.',
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
    severity: 'high',
    title: 'Row-level security binds the owner of the tables too',
    inspects: "pg_class.relforcerowsecurity of every tenants' table",
    why: 'An owner passes policies by unless FORCE is set: every SECURITY DEFINER function and view of the owner would see all tenants.',
    remedy: 'ALTER TABLE … FORCE ROW LEVEL SECURITY, in a migration.',
    source: 'docs/decisions.md, 15; pgrls SEC002; PostgreSQL manual, Row Security Policies',
    run: ({ snapshot }) =>
      judge(
        tables(snapshot),
        modelOf(snapshot)
          .tenantTables.filter(({ forcedRls }) => !forcedRls)
          .map((table) => ({
            object: nameOf(table),
            detail: `its owner ${table.owner} passes the policies by`,
          })),
      ),
  },
  {
    id: 'ISO-003',
    name: 'leaves-enable-row-security',
    severity: 'critical',
    title: 'Row-level security is enabled on every leaf, detached ones included',
    inspects: 'pg_class.relrowsecurity of every partition and every table that was one',
    why: "A parent's policies do not guard a leaf that is named directly: with one grant too many every tenant's rows of a month are open.",
    remedy:
      'ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY on the leaf; make leaves with llama.create_monthly_partition only.',
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
    severity: 'critical',
    title: 'Nobody but the owner has a privilege on a leaf',
    inspects: 'pg_class.relacl and pg_attribute.attacl of every leaf',
    why: 'Leaves are reached through their parent, which needs no privilege on them. GRANT … ON ALL TABLES and default privileges give them by the way.',
    remedy: 'REVOKE ALL ON TABLE … FROM the role; grant on the parent.',
    source: 'docs/decisions.md, 14; reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const oids = new Map(model.leaves.map((leaf) => [leaf.oid, leaf]));
      const columns = snapshot.columnGrants.flatMap((grant): Finding[] => {
        const leaf = oids.get(grant.relation);
        return leaf && grant.grantee !== leaf.owner
          ? [{ object: `${nameOf(leaf)}.${grant.column}`, detail: describeGrants([grant]) }]
          : [];
      });
      const whole = model.leaves.flatMap((leaf): Finding[] => {
        const grants = foreignGrants(leaf.grants, leaf.owner);
        return grants.length > 0 ? [{ object: nameOf(leaf), detail: describeGrants(grants) }] : [];
      });
      return judge(leaves(snapshot), [...whole, ...columns]);
    },
  },
  {
    id: 'ISO-005',
    name: 'leaves-have-no-policy',
    severity: 'high',
    title: 'No leaf has a policy of its own',
    inspects: 'pg_policy of every leaf',
    why: 'Row-level security without a policy closes a leaf to direct access. A policy opens it again, beside the policies of the parent.',
    remedy: 'DROP POLICY … on the leaf; write policies on the parent.',
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
    severity: 'critical',
    title: "Every tenants' table has a restrictive floor that keeps the application role inside its tenant",
    inspects: `restrictive policies FOR ALL that concern ${tenantRole}, and whether their conditions compare ${tenantColumn} with app.current_tenant_id`,
    why: 'Permissive policies are joined by OR: one that somebody adds later opens the table. A restrictive one is joined by AND and cannot be widened.',
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
            detail: `no restrictive tenant policy for ${tenantRole}`,
          })),
      ),
  },
  {
    id: 'ISO-007',
    name: 'tenant-policies-bind-tenant',
    severity: 'high',
    title: "What the application role is allowed stays inside its tenant by each policy's own condition",
    inspects: `conditions of every permissive policy that concerns ${tenantRole}`,
    why: 'A policy that is always true, or has an OR beside the tenant, leans on the floor alone; the OR also costs the index.',
    remedy:
      "Write the tenant's condition into the policy, and give other roles policies of their own (TO role).",
    source: 'docs/decisions.md, 15; pgrls SEC005, SEC008, SEC011; splinter 0024',
    run: ({ snapshot }) =>
      judge(
        tables(snapshot),
        modelOf(snapshot).tenantTables.flatMap((table) =>
          policiesFor(snapshot, table, tenantRole)
            .filter((policy) => policy.permissive && !conditionsOf(policy).every(isTenantBound))
            .map((policy) => ({
              object: policyName(snapshot, policy),
              detail: `its condition does not keep ${tenantRole} to one tenant: ${conditionsOf(policy).join('; ')}`,
            })),
        ),
      ),
  },
  {
    id: 'ISO-008',
    name: 'policies-name-roles',
    severity: 'high',
    title: 'Every policy names the roles it is for',
    inspects: "permissive policies of tenants' tables without TO role",
    why: 'A policy for PUBLIC concerns every role that will ever be granted the table, the application role among them.',
    remedy: 'DROP POLICY and create it again with TO role.',
    source: 'docs/decisions.md, 15; pgrls SEC003',
    run: ({ snapshot }) => {
      const oids = new Set(modelOf(snapshot).tenantTables.map(({ oid }) => oid));
      return judge(
        tables(snapshot),
        snapshot.policies
          .filter(
            (policy) => oids.has(policy.relation) && policy.permissive && policy.roles.includes('PUBLIC'),
          )
          .map((policy) => ({ object: policyName(snapshot, policy), detail: 'is for PUBLIC' })),
      );
    },
  },
  {
    id: 'ISO-009',
    name: 'granted-tables-have-policy',
    severity: 'high',
    title: 'A role that is granted a table also has a policy that lets it see rows',
    inspects: "roles with SELECT on a tenants' table, and the permissive policies that concern them",
    why: 'Privilege without a policy reads nothing and says nothing: a job reports success over zero rows.',
    remedy: 'Create the policy for the role, or revoke the privilege.',
    source:
      'splinter 0008; pgrls SEC009, SEC012, SEC032; a retention job of the owner that deleted 0 rows without an error',
    run: ({ snapshot }) => {
      const readers = (table: Relation) =>
        new Set(
          [...table.grants, ...snapshot.columnGrants.filter(({ relation }) => relation === table.oid)]
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
              detail: `${role} may SELECT and no policy shows it a row`,
            })),
        ),
      );
    },
  },
  {
    id: 'ISO-010',
    name: 'policies-read-tenant-once-per-query',
    severity: 'medium',
    title: 'Policies compute the tenant once a query, not once a row',
    inspects: 'current_setting() outside a sub-select in the conditions of policies',
    why: 'Without an index a query over two million rows took 450-800 ms instead of 80-170 ms, because the setting was read for each row.',
    remedy: 'Wrap the call: (SELECT nullif(current_setting(…, true), …)).',
    source:
      'pgrls PERF001; splinter 0003 (which takes the wrapped form with a cast for a bare one); measured on PostgreSQL 15 and 18',
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
    severity: 'high',
    title: 'An unset and an emptied tenant mean no tenant',
    inspects: 'how policies and views read app.current_tenant_id',
    why: "After a transaction that used SET LOCAL the setting is '' for the rest of the session, not NULL; without missing_ok a fresh session raises an error instead of seeing nothing.",
    remedy: "nullif(current_setting('app.current_tenant_id', true), '').",
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
          detail: "reads the tenant without missing_ok, or takes '' for a tenant",
        })),
      );
    },
  },
  {
    id: 'ISO-012',
    name: 'tenant-column-not-null',
    severity: 'high',
    title: 'Every row belongs to a tenant',
    inspects: "NOT NULL on the tenant column of every tenants' table",
    why: 'A row without a tenant is invisible to all of them, and no retention or erasure finds it.',
    remedy: 'ALTER TABLE … ALTER COLUMN tenant_id SET NOT NULL, after a validated CHECK.',
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
