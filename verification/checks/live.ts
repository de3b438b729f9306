/** Statements that the application role tries as two tenants, in a transaction that is rolled back. */
import { type Check, type CheckFacts, checksOf, type Outcome } from '../check.ts';
import { tenantRole } from '../model.ts';
import { blind, counted, judge, skip } from '../outcome.ts';
import { type PartName, probed } from '../probe.ts';
import type { Part } from '../probing.ts';

interface LiveCheck extends Omit<CheckFacts, 'source' | 'severity'> {
  readonly part: PartName;
}

const source =
  'docs/decisions.md, 18; a correct catalog does not prove correct behavior (Cyoda#363, spiralclass#59)';

const rows: readonly LiveCheck[] = [
  {
    id: 'ISO-050',
    name: 'tenant-uses-own-rows',
    group: 'isolation',
    part: 'own',
    loses: 'service',
    title: 'A tenant can use its own rows',
    inspects: `statements of ${tenantRole}: SELECT on the tenant tables; INSERT, UPDATE and DELETE on those that the design allows`,
    why: 'Isolation that locks tenants out is an outage, and somebody switches it off in a hurry.',
    remedy: 'Compare grants and policies with migrations/0006_tenant_isolation.sql.',
  },
  {
    id: 'ISO-051',
    name: 'tenant-reads-no-other-tenant',
    group: 'isolation',
    part: 'foreignReads',
    loses: 'isolation',
    title: 'A tenant cannot read rows of another tenant',
    inspects: `SELECT of ${tenantRole} on the tenant tables, the summary and the view over it; errors raised on hidden rows; row locks`,
    why: 'Tenant isolation is the main purpose of the design.',
    remedy: 'Fix the other findings of group isolation first: they name the cause.',
  },
  {
    id: 'ISO-052',
    name: 'unset-tenant-sees-nothing',
    group: 'isolation',
    part: 'withoutTenant',
    loses: 'isolation',
    title: 'Without a tenant, no row can be read or written',
    inspects: `statements of ${tenantRole} with app.current_tenant_id unset, and set to ''`,
    why: "A forgotten tenant context must fail closed. After SET LOCAL the setting is '' for the rest of the session.",
    remedy:
      "Read the tenant as nullif(current_setting('app.current_tenant_id', true), '') in every policy and view.",
  },
  {
    id: 'ISO-053',
    name: 'tenant-inserts-for-itself-only',
    group: 'isolation',
    part: 'foreignInserts',
    loses: 'isolation',
    title: 'A tenant cannot insert rows for another tenant',
    inspects: `INSERT of ${tenantRole} with another tenant_id`,
    why: 'People and programs of the other tenant take a planted row for their own.',
    remedy: 'Check WITH CHECK of the policies, and fix the other findings of group isolation.',
  },
  {
    id: 'ISO-054',
    name: 'tenant-changes-own-rows-only',
    group: 'isolation',
    part: 'foreignChanges',
    loses: 'isolation',
    title: 'A tenant cannot change, delete or give away rows across tenants',
    inspects: `UPDATE and DELETE of ${tenantRole} on rows of another tenant, and UPDATE of tenant_id`,
    why: 'A tenant that can change the rows of another one can destroy them.',
    remedy: 'Fix the other findings of group isolation.',
  },
  {
    id: 'ISO-055',
    name: 'leaves-unreachable-directly',
    group: 'isolation',
    part: 'leaves',
    loses: 'isolation',
    title: 'The application role cannot access a partition directly',
    inspects: `SELECT, INSERT, DELETE and LOCK of ${tenantRole} on the current partition of each table`,
    why: 'A statement that names a partition does not apply the policies of its parent.',
    remedy: 'On the partition, REVOKE ALL, ENABLE ROW LEVEL SECURITY, and create no policy.',
  },
  {
    id: 'ISO-056',
    name: 'application-cannot-disable-protection',
    group: 'isolation',
    part: 'escapes',
    loses: 'isolation',
    title: 'The application role cannot disable the protection',
    inspects: `TRUNCATE, ALTER TABLE, CREATE POLICY, FUNCTION, TABLE and TEMPORARY TABLE, session_replication_role and row_security as ${tenantRole}`,
    why: 'An SQL injection must not be able to remove the isolation first.',
    remedy: 'REVOKE the privileges in the findings, and fix the other findings of group isolation.',
  },
  {
    id: 'AUD-050',
    name: 'changes-leave-audit-rows',
    group: 'audit',
    part: 'auditRows',
    loses: 'evidence',
    title: 'Insert, update and delete write audit rows',
    inspects: `llama.audit_trail after three changes of ${tenantRole}: table, user, correlation id, address, user agent, old and new values`,
    why: 'A trigger can exist and be enabled, yet write nothing, or the name of the partition instead of the table.',
    remedy: 'Compare llama.write_audit() with migrations/0008_audit_trail.sql.',
  },
  {
    id: 'AUD-051',
    name: 'audit-trail-rejects-rewrites',
    group: 'audit',
    part: 'auditChanges',
    loses: 'evidence',
    title: 'No role can rewrite the audit trail',
    inspects: `INSERT, UPDATE and DELETE on llama.audit_trail as ${tenantRole}, admin_role and llama_owner`,
    why: 'An audit trail that can be edited proves nothing.',
    remedy: 'REVOKE the privileges in the findings, and restore the triggers append_only of migration 0008.',
  },
];

export const checks: readonly Check[] = rows.flatMap(({ part, group, ...facts }) =>
  checksOf(group, [{ ...facts, source, run: async (input) => judged(await probed(input, part)) }]),
);

function judged(part: Part): Outcome {
  if ('skipped' in part) return (part.standby ? skip : blind)(part.skipped);
  return judge(counted(part.tried, 'statement'), part.findings);
}
