/** What the application role can do, tried instead of read: two tenants, every path, rolled back. */
import type { Check, CheckFacts, Outcome } from '../check.ts';
import { tenantRole } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import { type Part, type PartName, probed } from '../probe.ts';

interface LiveCheck extends Omit<CheckFacts, 'source'> {
  readonly part: PartName;
}

const source = 'docs/decisions.md, 18; a catalog can look right and behave wrong (Cyoda#363, spiralclass#59)';

const rows: readonly LiveCheck[] = [
  {
    id: 'ISO-050',
    name: 'tenant-uses-own-rows',
    group: 'isolation',
    part: 'own',
    severity: 'high',
    title: 'A tenant can work with its own rows',
    inspects: `statements of ${tenantRole}: SELECT on the five tables, INSERT, UPDATE and DELETE where the design allows them`,
    why: 'Isolation that shuts everybody out is an outage, and gets switched off in a hurry.',
    remedy: 'Compare grants and policies with migrations/0006_tenant_isolation.sql.',
  },
  {
    id: 'ISO-051',
    name: 'tenant-reads-no-other-tenant',
    group: 'isolation',
    part: 'foreignReads',
    severity: 'critical',
    title: "A tenant reads nobody else's rows",
    inspects: `SELECT of ${tenantRole} on the five tables, the summary and its face; errors raised on hidden rows; row locks`,
    why: 'This is what the whole design is for.',
    remedy: 'Look at the other findings of group isolation first: they name the cause.',
  },
  {
    id: 'ISO-052',
    name: 'unset-tenant-sees-nothing',
    group: 'isolation',
    part: 'withoutTenant',
    severity: 'critical',
    title: 'Without a tenant nothing is read and nothing written',
    inspects: `statements of ${tenantRole} with app.current_tenant_id never set, and set to ''`,
    why: "A forgotten tenant context must fail closed; after SET LOCAL the setting is '' for the rest of the session.",
    remedy: "nullif(current_setting('app.current_tenant_id', true), '') in every policy and view.",
  },
  {
    id: 'ISO-053',
    name: 'tenant-inserts-for-itself-only',
    group: 'isolation',
    part: 'foreignInserts',
    severity: 'critical',
    title: 'A tenant cannot insert rows for another one',
    inspects: `INSERT of ${tenantRole} with another tenant_id`,
    why: "A planted row is read by the other tenant's people and programs as their own.",
    remedy: 'WITH CHECK of the policies; look at the other findings of group isolation.',
  },
  {
    id: 'ISO-054',
    name: 'tenant-changes-own-rows-only',
    group: 'isolation',
    part: 'foreignChanges',
    severity: 'critical',
    title: "A tenant cannot change or remove another one's rows, nor give its own away",
    inspects: `UPDATE and DELETE of ${tenantRole} with another tenant_id`,
    why: 'Whoever can change it can destroy it.',
    remedy: 'Look at the other findings of group isolation.',
  },
  {
    id: 'ISO-055',
    name: 'leaves-unreachable-directly',
    group: 'isolation',
    part: 'leaves',
    severity: 'critical',
    title: 'Partitions cannot be reached past their table',
    inspects: `SELECT, INSERT, DELETE and LOCK of ${tenantRole} on the current partition of each table`,
    why: 'A partition that is named directly does not ask the policies of its table.',
    remedy: 'REVOKE ALL on the partition, ENABLE ROW LEVEL SECURITY on it, and no policy.',
  },
  {
    id: 'ISO-056',
    name: 'application-cannot-disable-protection',
    group: 'isolation',
    part: 'escapes',
    severity: 'critical',
    title: 'The application role cannot switch the protection off',
    inspects: `TRUNCATE, ALTER TABLE, CREATE POLICY, FUNCTION, TABLE and TEMPORARY TABLE, session_replication_role and row_security as ${tenantRole}`,
    why: 'One SQL injection must not be able to take down the fence first.',
    remedy: 'REVOKE what is named; look at the other findings of group isolation.',
  },
  {
    id: 'AUD-050',
    name: 'changes-leave-audit-rows',
    group: 'audit',
    part: 'auditRows',
    severity: 'critical',
    title: 'Insert, update and delete leave their rows in the trail',
    inspects: `llama.audit_trail after three changes of ${tenantRole}: table, user, correlation id, address, user agent, old and new values`,
    why: "A trigger can be there, enabled, and write nothing, or the partition's name instead of the table's.",
    remedy: 'Compare llama.write_audit() with migrations/0008_audit_trail.sql.',
  },
  {
    id: 'AUD-051',
    name: 'audit-trail-rejects-rewrites',
    group: 'audit',
    part: 'auditChanges',
    severity: 'critical',
    title: 'Nobody rewrites the trail',
    inspects: `INSERT, UPDATE and DELETE on llama.audit_trail as ${tenantRole}, admin_role and llama_owner`,
    why: 'A trail that can be edited proves nothing.',
    remedy: 'REVOKE what is named; bring back the triggers append_only of migration 0008.',
  },
];

export const checks: readonly Check[] = rows.map(({ part, ...facts }) => ({
  ...facts,
  source,
  run: async (input) => judged(await probed(input, part)),
}));

function judged(part: Part): Outcome {
  return 'skipped' in part ? skip(part.skipped) : judge(counted(part.tried, 'statement'), part.findings);
}
