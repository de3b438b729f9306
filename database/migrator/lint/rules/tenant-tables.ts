/** Tables of tenants as a whole, after the last file: protection, audit, policies and grants that belong together. */
import { bindsTenant } from '../../../schema/policy.ts';
import {
  adminRole,
  applicationRole,
  auditTable,
  schema as home,
  tenantColumn,
  writesAuditTrail,
} from '../../../schema/roles.ts';
import type { KnownPolicy, KnownTable, KnownTrigger } from '../known-table.ts';
import type { Family, Rule } from '../rule.ts';
import type { KnownSchema } from '../schema.ts';
import { every, is } from '../tree.ts';

/** The example that a test applies and uses. */
const recipe = 'docs/migrations.md has a complete example, "A table with rows of tenants".';

/** Bits of `events` and `timing` in the tree of CREATE TRIGGER (pg_trigger.h). */
const events = { INSERT: 4, DELETE: 8, UPDATE: 16 } as const;
const before = 2;
const truncateEvent = 32;

const commands = ['select', 'insert', 'update', 'delete'] as const;

const rules: readonly Rule[] = [
  {
    id: 'tenant-table-open',
    severity: 'critical',
    title: 'Tables with a column tenant_id have forced row-level security and a RESTRICTIVE floor policy',
    why: 'without row-level security every role with a grant reads all tenants; without FORCE the owner does; without a floor, one careless policy opens the table',
    remedy: `ENABLE and FORCE ROW LEVEL SECURITY, and CREATE POLICY … AS RESTRICTIVE FOR ALL TO application_role with the condition on the tenant, in this file or a later one. ${recipe}`,
    source:
      'splinter 0013; pgrls SEC001, SEC002 and SEC007; decision 15; checks ISO-001, ISO-002 and ISO-006',
    *atEnd(schema) {
      for (const [table, known] of tenantTables(schema)) {
        const policies = [...known.policies.values()];
        const restrictive = policies.some((policy) => policy.restrictive);
        yield {
          table,
          detail: `${table} lacks`,
          parts: [
            ...(known.rowSecurity ? [] : ['ENABLE ROW LEVEL SECURITY']),
            ...(known.forced ? [] : ['FORCE ROW LEVEL SECURITY']),
            ...(restrictive ? [] : ['a RESTRICTIVE policy']),
            ...(!restrictive || policies.some(isFloor)
              ? []
              : ['a RESTRICTIVE policy FOR ALL TO application_role on the tenant']),
          ],
        };
      }
    },
  },
  {
    id: 'tenant-column-nullable',
    severity: 'high',
    title: 'The column tenant_id is NOT NULL',
    why: 'no policy shows a row without a tenant, so nobody can read, audit or erase it',
    remedy: 'Use tenant_id varchar(100) NOT NULL.',
    source: 'check ISO-012; pgrls SEC030',
    *atEnd(schema) {
      for (const [table, known] of tenantTables(schema)) {
        yield {
          table,
          detail: table,
          parts: known.required.has(tenantColumn) ? [] : ['allows NULL in tenant_id'],
        };
      }
    },
  },
  {
    id: 'tenant-table-not-audited',
    severity: 'critical',
    title: 'Row triggers write every change of a tenant row to the audit trail',
    why: 'a change without an audit row cannot be explained to an auditor or undone',
    remedy: `CREATE TRIGGER … AFTER INSERT OR DELETE and another AFTER UPDATE, each FOR EACH ROW EXECUTE FUNCTION llama.write_audit(table, key column, partition column or ''). ${recipe}`,
    source: 'migrations/0008_audit_trail.sql; check AUD-001',
    *atEnd(schema) {
      for (const [table, known] of tenantTables(schema)) {
        if (table === auditTable) continue;
        const silent = Object.entries(events).filter(
          ([, bit]) => !coversAllRows([...known.triggers.values()].filter((one) => audits(one, bit, schema))),
        );
        yield { table, detail: `${table} has no audit trigger for`, parts: silent.map(([name]) => name) };
      }
    },
  },
  {
    id: 'tenant-table-truncatable',
    severity: 'critical',
    title: 'Tables with a column tenant_id refuse TRUNCATE',
    why: 'neither row-level security nor an audit trigger of rows sees a TRUNCATE: rows of all tenants would be gone without a trace',
    remedy:
      'CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON … FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate(), and ENABLE ALWAYS TRIGGER refuse_truncate, in this file or a later one.',
    source: 'migrations/0016_evidence.sql; AUD-025',
    *atEnd(schema) {
      for (const [table, known] of tenantTables(schema)) {
        const refuses = [...known.triggers.values()].some(
          ({ enabled, statement: { events: bits = 0, timing = 0 } }) =>
            enabled && (bits & truncateEvent) !== 0 && (timing & before) !== 0,
        );
        yield { table, detail: table, parts: refuses ? [] : ['does not refuse TRUNCATE'] };
      }
    },
  },
  {
    id: 'audit-silent-as-replica',
    severity: 'high',
    title: 'Audit triggers also fire under session_replication_role = replica',
    why: 'an administrator or a subscription could otherwise change rows without an audit row',
    remedy: `ALTER TABLE … ENABLE ALWAYS TRIGGER for the row triggers. ${recipe}`,
    source: 'migrations/0016_evidence.sql; check AUD-026',
    *atEnd(schema) {
      for (const [table, { triggers }] of tenantTables(schema)) {
        const writers = [...triggers.values()].filter(({ function: fn }) =>
          writesAuditTrail(schema.functions.get(fn)?.source ?? ''),
        );
        const silent = Object.entries(events).filter(
          ([, bit]) =>
            writers.some(({ statement }) => ((statement.events ?? 0) & bit) !== 0) &&
            !writers.some(({ replica, statement }) => replica && ((statement.events ?? 0) & bit) !== 0),
        );
        yield { table, detail: `as a replica, ${table} does not audit`, parts: silent.map(([name]) => name) };
      }
    },
  },
  {
    id: 'audit-trigger-arguments',
    severity: 'critical',
    title: 'Audit triggers name their own table and its key',
    why: 'llama.write_audit takes the names from its arguments: with other ones the trail names another table, or the write fails',
    remedy: `Use llama.write_audit(table, key column, partition column or ''). ${recipe}`,
    source: 'migrations/0008_audit_trail.sql',
    *atEnd(schema) {
      for (const [table, known] of tenantTables(schema)) {
        const wrong = [...known.triggers].flatMap(([name, { function: fn, statement }]) => {
          if (fn !== 'llama.write_audit') return [];
          const [own, key, partition = ''] = (statement.args ?? []).map(
            (one) => is(one, 'String')?.sval ?? '',
          );
          return [
            ...(own === table.replace(/^llama\./, '') ? [] : [`${name} names table ${own ?? 'none'}`]),
            ...(key !== undefined && known.columns.has(key) ? [] : [`${name} names key ${key ?? 'none'}`]),
            ...(partition === '' || known.columns.has(partition)
              ? []
              : [`${name} names column ${partition}`]),
          ];
        });
        yield { table, detail: `in ${table}`, parts: wrong };
      }
    },
  },
  {
    id: 'grant-without-policy',
    severity: 'high',
    title: 'Every role with a grant on a tenant table has a policy for it',
    why: 'row-level security without a policy shows the role no rows and refuses its writes, without an error on reading',
    remedy: `CREATE POLICY … FOR the command TO the role, or REVOKE the privilege. ${recipe}`,
    source: 'check ISO-009; pgrls SEC009 and SEC012',
    *atEnd(schema) {
      for (const [table, known] of tenantTables(schema)) {
        const open = [...known.grants.keys()].filter((key) => {
          const [role = '', privilege = ''] = key.split(' ');
          return isCommand(privilege) && !permits(known, role, privilege);
        });
        yield { table, detail: `no policy of ${table} permits`, parts: open.map(shownGrant) };
      }
    },
  },
  {
    id: 'policy-without-grant',
    severity: 'high',
    title: 'Every role with a policy on a table has a privilege for it',
    why: 'a policy gives no privilege: the role gets "permission denied"',
    remedy: 'GRANT the privilege to the role, or drop the policy.',
    source: 'PostgreSQL manual, Row Security Policies',
    *atEnd(schema) {
      for (const [table, known] of schema.tables) {
        const idle = [...known.policies].flatMap(([name, { restrictive, roles, command }]) =>
          restrictive
            ? []
            : roles
                .filter((role) => role !== 'public')
                // A role that may not SELECT can neither filter nor return the rows that it changes.
                .filter((role) => !known.grants.has(`${role} ${command === 'all' ? 'select' : command}`))
                .map((role) => `${name} of ${role}`),
        );
        yield { table, detail: `no grant on ${table} belongs to policy`, parts: idle };
      }
    },
  },
  {
    id: 'column-without-grant',
    severity: 'high',
    title: 'A new column has the grants of its neighbors',
    why: 'a grant that names columns does not include later ones, so the application and administrators get "permission denied" for the new column',
    remedy:
      'GRANT SELECT (column), INSERT (column), UPDATE (column) as needed; a column that the role must not use needs an allowance.',
    source: 'PostgreSQL manual, GRANT; reproduced on 17',
    *atEnd(schema) {
      for (const [table, known] of schema.tables) {
        const denied = [applicationRole, adminRole].flatMap((role) =>
          [...known.added]
            .filter((column) => known.columns.has(column))
            .flatMap((column) =>
              missingGrants(known, role, column).map((privilege) => `${privilege} (${column}) to ${role}`),
            ),
        );
        yield { table, detail: `${table} does not grant`, parts: denied };
      }
    },
  },
  {
    id: 'sequence-without-grant',
    severity: 'high',
    title: 'Roles that insert may use the sequences of the defaults',
    why: 'nextval() in a default runs as the role that inserts, which gets "permission denied for sequence"',
    remedy:
      'Use GENERATED ALWAYS AS IDENTITY, which needs no grant, or GRANT USAGE ON SEQUENCE … TO the role.',
    source: 'PostgreSQL manual, CREATE TABLE and GRANT',
    *atEnd(schema) {
      for (const [table, { sequences, grants }] of schema.tables) {
        const inserting = [...grants.keys()].flatMap((key) => /^(\S+) insert$/.exec(key)?.[1] ?? []);
        yield {
          table,
          detail: `${table} needs`,
          parts: [...sequences].flatMap((name) =>
            inserting
              .filter((role) => schema.sequenceUsers.get(name)?.has(role) !== true)
              .map((role) => `USAGE on sequence ${name} for ${role}`),
          ),
        };
      }
    },
  },
  {
    id: 'tenant-table-elsewhere',
    severity: 'high',
    title: 'Tables with a column tenant_id are in schema llama',
    why: 'verification, maintenance and erasure cover only schema llama',
    remedy: 'Create the table in schema llama.',
    source: 'check ISO-038; splinter 0013',
    *atEnd(schema) {
      for (const [table, known] of schema.tables) {
        const stray = known.kind !== 'view' && known.columns.has(tenantColumn) && !isHome(table);
        yield { table, detail: table, parts: stray ? ['is outside schema llama'] : [] };
      }
    },
  },
  {
    id: 'foreign-key-without-tenant',
    severity: 'high',
    title: 'Foreign keys between tables of tenants contain tenant_id',
    why: 'the check of a foreign key sees the rows of every tenant, so a tenant could refer to a row of another and learn of it',
    remedy: 'FOREIGN KEY (tenant_id, …) REFERENCES … (tenant_id, …).',
    source: 'PostgreSQL manual, Row Security Policies, on covert channels; check ISO-033',
    *atEnd(schema) {
      for (const [table, known] of tenantTables(schema)) {
        const open = [...known.constraints.values()]
          .filter(({ type, referenced }) => type === 'CONSTR_FOREIGN' && schema.isTenants(referenced))
          .filter(({ columns, referencedColumns }) => {
            const place = columns.indexOf(tenantColumn);
            return place < 0 || (referencedColumns.length > 0 && referencedColumns[place] !== tenantColumn);
          });
        yield {
          table,
          detail: `the foreign key of ${table}`,
          parts: open.map(({ columns, referenced }) => `(${columns.join(', ')}) to ${referenced}`),
        };
      }
    },
  },
];

export const family: Family = { title: 'Tables of tenants', rules };

const isHome = (table: string) => table.startsWith(`${home}.`);

function tenantTables(schema: KnownSchema): [string, KnownTable][] {
  return [...schema.tables].filter(
    ([name, { partition }]) => !partition && schema.isTenants(name) && isHome(name),
  );
}

function isFloor({ restrictive, roles, command, using, check }: KnownPolicy): boolean {
  return (
    restrictive &&
    command === 'all' &&
    roles.some((role) => role === applicationRole || role === 'public') &&
    bindsTenant(using) &&
    (check === undefined || bindsTenant(check))
  );
}

/** Whether a trigger writes the trail for all columns of the event. */
function audits(
  { enabled, function: fn, statement }: KnownTrigger,
  event: number,
  schema: KnownSchema,
): boolean {
  const { events: bits = 0, timing = 0, columns, row, transitionRels } = statement;
  return (
    enabled &&
    (bits & event) !== 0 &&
    (timing & before) === 0 &&
    (columns ?? []).length === 0 &&
    (row === true || (transitionRels ?? []).length > 0) &&
    writesAuditTrail(schema.functions.get(fn)?.source ?? '')
  );
}

/** Whether one trigger has no condition besides "the row changed", or two divide the rows by the current role. */
function coversAllRows(triggers: readonly KnownTrigger[]): boolean {
  let equal = false;
  let other = false;
  for (const { statement } of triggers) {
    const condition = is(statement.whenClause, 'A_Expr');
    if (statement.whenClause === undefined || condition?.kind === 'AEXPR_DISTINCT') return true;
    if (every(condition, 'SQLValueFunction').length === 0) continue;
    if (is(condition?.name?.[0], 'String')?.sval === '=') equal = true;
    else other = true;
  }
  return equal && other;
}

function isCommand(privilege: string): privilege is (typeof commands)[number] {
  return commands.some((one) => one === privilege);
}

function permits({ policies }: KnownTable, role: string, privilege: string): boolean {
  return [...policies.values()].some(
    ({ restrictive, roles, command }) =>
      !restrictive &&
      (command === 'all' || command === privilege) &&
      (roles.includes(role) || roles.includes('public')),
  );
}

function shownGrant(key: string): string {
  const [role = '', privilege = ''] = key.split(' ');
  return `${privilege.toUpperCase()} to ${role}`;
}

/** Privileges that a role has on other columns of the table, and not on this one. */
function missingGrants({ grants, generated }: KnownTable, role: string, column: string): string[] {
  const of = (privilege: string) => grants.get(`${role} ${privilege}`);
  const has = (privilege: string) => {
    const grant = of(privilege);
    return grant === 'table' || grant?.has(column) === true;
  };
  const writing = ['insert', 'update'].filter((privilege) => of(privilege) !== undefined);
  return [
    ...(of('select') !== undefined && !has('select') ? ['SELECT'] : []),
    ...(writing.length > 0 && !generated.has(column) && !writing.some(has)
      ? [writing.map((privilege) => privilege.toUpperCase()).join(' or ')]
      : []),
  ];
}
