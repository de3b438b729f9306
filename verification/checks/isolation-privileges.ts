/** Ways around the policies that they do not see: privileges, defaults, keys, copies. */
import { checksOf, type Finding } from '../check.ts';
import {
  auditRole,
  describeGrants,
  foreignGrants,
  groupRoles,
  loginRoles,
  maintenanceRole,
  modelOf,
  nameOf,
  owner,
  schema,
  sealRole,
  tenantColumn,
  tenantRole,
} from '../model.ts';
import { counted, judge } from '../outcome.ts';
import { reachesTenants, rightsOfTenants } from '../reach.ts';
import type { Grant } from '../snapshot/facts.ts';

export const checks = checksOf('isolation', [
  {
    id: 'ISO-027',
    name: 'structural-privileges-owner-only',
    severity: 'high',
    title: 'Nobody but the owner may TRUNCATE, REFERENCE, put triggers on or MAINTAIN a table',
    inspects: 'privileges on tables of schema llama',
    why: 'TRUNCATE is not filtered by policies; a foreign key asks about rows that its author cannot see; a trigger runs as whoever writes next.',
    remedy: 'REVOKE TRUNCATE, REFERENCES, TRIGGER ON … FROM the role (and MAINTAIN from 17 on).',
    source: 'docs/decisions.md, 15; PostgreSQL manual, Row Security Policies',
    run: ({ snapshot }) => {
      // What is granted on a leaf is ISO-004's to say.
      const leaves = new Set(modelOf(snapshot).leaves.map(({ oid }) => oid));
      const tables = snapshot.relations.filter(
        (relation) =>
          relation.schema === schema && ['r', 'p', 'm'].includes(relation.kind) && !leaves.has(relation.oid),
      );
      const wild = new Set(['TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']);
      return judge(
        counted(tables.length, 'table'),
        tables.flatMap((table): Finding[] => {
          const grants = foreignGrants(table.grants, table.owner).filter(({ privilege }) =>
            wild.has(privilege),
          );
          return grants.length > 0 ? [{ object: nameOf(table), detail: describeGrants(grants) }] : [];
        }),
      );
    },
  },
  {
    id: 'ISO-028',
    name: 'default-privileges-grant-nothing',
    severity: 'high',
    title: 'What is created later is open to nobody by default',
    inspects: 'pg_default_acl of every role that creates objects in schema llama',
    why: 'ALTER DEFAULT PRIVILEGES … GRANT … ON TABLES also opens every partition that maintenance will ever make.',
    remedy: 'ALTER DEFAULT PRIVILEGES FOR ROLE … REVOKE …; grant each object by name.',
    source: 'docs/decisions.md, 14; reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) => {
      const creators = new Set([owner, maintenanceRole, auditRole, snapshot.server.login]);
      const relevant = snapshot.defaultPrivileges.filter(
        (entry) =>
          creators.has(entry.creator) &&
          (entry.schema === null || entry.schema === schema) &&
          ['r', 'S', 'f'].includes(entry.objects),
      );
      const kinds: Readonly<Record<string, string>> = { r: 'tables', S: 'sequences', f: 'functions' };
      return judge(
        counted(relevant.length, 'default privilege'),
        relevant.flatMap((entry): Finding[] => {
          const grants = foreignGrants(entry.grants, entry.creator);
          return grants.length > 0
            ? [
                {
                  object: `future ${kinds[entry.objects]} of ${entry.creator}`,
                  detail: describeGrants(grants),
                },
              ]
            : [];
        }),
      );
    },
  },
  {
    id: 'ISO-029',
    name: 'new-functions-closed-to-public',
    severity: 'medium',
    title: "New functions of the owner are not everybody's",
    inspects: `default privileges of ${owner} on functions, in all schemas`,
    why: 'Without them every CREATE FUNCTION of a later migration is executable by PUBLIC until somebody remembers to revoke it.',
    remedy: `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC (not IN SCHEMA, which does not take it away).`,
    source: 'PostgreSQL manual, ALTER DEFAULT PRIVILEGES',
    run: ({ snapshot }) => {
      const entry = snapshot.defaultPrivileges.find(
        ({ creator, schema: within, objects }) => creator === owner && within === null && objects === 'f',
      );
      return judge(
        'pg_default_acl',
        entry ? [] : [{ object: `future functions of ${owner}`, detail: 'PUBLIC may execute them' }],
      );
    },
  },
  {
    id: 'ISO-030',
    name: 'schema-creation-owner-only',
    severity: 'critical',
    title: 'Only owners create objects in a schema, and only administrators create schemas',
    inspects: `CREATE on every schema and on the database, for PUBLIC, the group roles and tenants' logins; on schema ${schema} for everybody`,
    why: 'Whoever may create in a schema that a search path names can put a function or table in the place of another. Azure leaves schema public open to everyone.',
    remedy: 'REVOKE CREATE ON SCHEMA … (or ON DATABASE …) FROM PUBLIC (or the role).',
    source: 'CVE-2018-1058; Microsoft Learn, Access management (schema public)',
    run: ({ snapshot }) => {
      const outsiders = new Set<string>([...rightsOfTenants(snapshot), ...groupRoles]);
      const created = (grants: readonly Grant[], by: string, everybody = false) =>
        foreignGrants(grants, by).filter(
          ({ privilege, grantee }) => privilege === 'CREATE' && (everybody || outsiders.has(grantee)),
        );
      const { server, schemas } = snapshot;
      const places = [
        ...schemas.map(({ name, owner: by, grants }) => ({
          object: `schema ${name}`,
          grants: created(grants, by, name === schema),
        })),
        {
          object: `database ${server.database}`,
          grants: created(server.databaseGrants, server.databaseOwner),
        },
      ];
      return judge(
        `${counted(schemas.length, 'schema')} and the database`,
        places
          .filter(({ grants }) => grants.length > 0)
          .map(({ object, grants }) => ({ object, detail: describeGrants(grants) })),
      );
    },
  },
  {
    id: 'ISO-031',
    name: 'tenants-create-no-temporary-objects',
    severity: 'medium',
    title: 'Tenants make no temporary objects',
    inspects: `TEMPORARY on the database, for PUBLIC, ${tenantRole} and its logins`,
    why: 'A temporary table or function is the usual way to shadow a name that something with more rights looks up.',
    remedy: 'REVOKE TEMPORARY ON DATABASE … FROM PUBLIC.',
    source: 'PostgreSQL manual, Writing SECURITY DEFINER Functions Safely',
    run: ({ snapshot }) => {
      const grants = snapshot.server.databaseGrants.filter(({ privilege }) => privilege === 'TEMPORARY');
      const rights = rightsOfTenants(snapshot);
      const open = grants.filter(({ grantee }) => rights.has(grantee));
      return judge(
        'pg_database.datacl',
        open.length > 0
          ? [{ object: `database ${snapshot.server.database}`, detail: describeGrants(open) }]
          : [],
      );
    },
  },
  {
    id: 'ISO-032',
    name: 'unique-keys-carry-tenant',
    severity: 'high',
    title: 'No unique key spans tenants',
    inspects: "unique indexes of tenants' tables: each contains the tenant column",
    why: 'Uniqueness is checked over rows that the policies hide: "duplicate key" tells one tenant what another one has.',
    remedy: 'Put tenant_id first in the key.',
    source: 'PostgreSQL manual, Row Security Policies (covert channels)',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const keys = model.tenantTables.flatMap((table) =>
        model
          .indexesOf(table)
          .filter(({ unique }) => unique)
          .map((index) => ({ table, index })),
      );
      return judge(
        counted(keys.length, 'unique index', 'unique indexes'),
        keys
          .filter(({ index }) => !index.columns.includes(tenantColumn))
          .map(({ table, index }) => ({
            object: `${nameOf(table)}: ${index.name}`,
            detail: `unique on (${index.columns.join(', ')}) over all tenants`,
          })),
      );
    },
  },
  {
    id: 'ISO-033',
    name: 'foreign-keys-carry-tenant',
    severity: 'high',
    title: "Foreign keys between tenants' tables carry the tenant",
    inspects: 'pg_constraint, columns of both sides',
    why: "The check of a foreign key sees every tenant's rows: a key without the tenant lets one tenant refer to, and so learn of, another's row.",
    remedy: 'FOREIGN KEY (tenant_id, …) REFERENCES … (tenant_id, …).',
    source: 'PostgreSQL manual, Row Security Policies (covert channels)',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const tables = new Map(model.tenantTables.map((table) => [table.oid, table]));
      const keys = snapshot.constraints.filter(
        ({ type, relation, referenced }) =>
          type === 'f' && tables.has(relation) && tables.has(referenced ?? 0),
      );
      return judge(
        counted(keys.length, 'foreign key'),
        keys
          .filter(({ columns, referencedColumns }) => {
            const place = columns.indexOf(tenantColumn);
            return place < 0 || referencedColumns[place] !== tenantColumn;
          })
          .map((key) => ({
            object: `${key.name} on ${tables.get(key.relation)?.name}`,
            detail: `does not carry the tenant: ${key.definition}`,
          })),
      );
    },
  },
  {
    id: 'ISO-034',
    name: 'sequences-closed-to-tenants',
    severity: 'medium',
    title: 'Tenants cannot read or set sequences',
    inspects: `SELECT and UPDATE on sequences, for ${tenantRole}, its logins and PUBLIC`,
    why: "A sequence counts everybody's rows, and setval() makes the next insert of any tenant fail.",
    remedy: 'REVOKE SELECT, UPDATE ON SEQUENCE …; USAGE is enough to insert.',
    source: 'PostgreSQL manual, GRANT',
    run: ({ snapshot }) => {
      const sequences = snapshot.relations.filter(({ kind }) => kind === 'S');
      return judge(
        counted(sequences.length, 'sequence'),
        sequences
          .filter(
            ({ grants }) =>
              reachesTenants(snapshot, grants, 'SELECT') || reachesTenants(snapshot, grants, 'UPDATE'),
          )
          .map((sequence) => ({ object: nameOf(sequence), detail: describeGrants(sequence.grants) })),
      );
    },
  },
  {
    id: 'ISO-037',
    name: 'publications-carry-no-tenant-rows',
    severity: 'medium',
    title: "No publication carries tenants' rows away unseen",
    inspects: "publications with a tenants' table",
    why: 'Logical replication reads the log, where there are no policies: whoever subscribes has every tenant.',
    remedy:
      'DROP PUBLICATION … if nobody needs it; else give the table a row filter, and accept this finding for as long as data is moved.',
    source: 'PostgreSQL manual, Logical Replication: Security',
    run: ({ snapshot }) => {
      const ours = new Set(
        [...modelOf(snapshot).tenantTables, ...modelOf(snapshot).leaves].map((table) => nameOf(table)),
      );
      return judge(
        counted(snapshot.publications.length, 'publication'),
        snapshot.publications.flatMap(({ name, everything, tables }): Finding[] => {
          if (everything) return [{ object: `publication ${name}`, detail: 'is FOR ALL TABLES' }];
          const open = tables.filter((table) => !table.filtered && ours.has(nameOf(table))).map(nameOf);
          return open.length > 0
            ? [{ object: `publication ${name}`, detail: `carries ${open.join(', ')}` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'ISO-038',
    name: 'no-tenant-rows-outside-schema',
    severity: 'high',
    title: "No copy of tenants' rows lies outside schema llama",
    inspects: 'tables and materialized views of other schemas with a column tenant_id',
    why: 'Copies made during an incident have no policies, no audit and no retention, and outlive the incident.',
    remedy: 'Drop the copy, or move it into schema llama by a migration that protects it.',
    source: 'splinter 0013',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const others = snapshot.relations.filter(
        (relation) =>
          relation.schema !== schema &&
          ['r', 'p', 'm', 'f'].includes(relation.kind) &&
          relation.parent === null,
      );
      return judge(
        `${counted(others.length, 'table')} outside schema llama`,
        others
          .filter((table) => model.columnsOf(table).some(({ name }) => name === tenantColumn))
          .map((table) => ({
            object: nameOf(table),
            detail: `owned by ${table.owner}, has a column tenant_id`,
          })),
      );
    },
  },
  {
    id: 'ISO-039',
    name: 'tenant-tables-granted-to-known-roles',
    severity: 'high',
    title: "Nothing but the documented group roles is granted tenants' tables",
    inspects: "grantees of every tenants' table and its columns",
    why: 'A grant to a login, or to PUBLIC, is not seen in the group roles and survives the login leaving them.',
    remedy: 'REVOKE it, and put the login into a group role.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const known = new Set<string>([...loginRoles, auditRole, sealRole]);
      return judge(
        counted(model.tenantTables.length, "tenants' table"),
        model.tenantTables.flatMap((table): Finding[] => {
          const grants = [
            ...table.grants,
            ...snapshot.columnGrants.filter(({ relation }) => relation === table.oid),
          ].filter(({ grantee }) => grantee !== table.owner && !known.has(grantee));
          return grants.length > 0 ? [{ object: nameOf(table), detail: describeGrants(grants) }] : [];
        }),
      );
    },
  },
  {
    id: 'ISO-040',
    name: 'no-default-tenant',
    severity: 'critical',
    title: 'Nobody has a tenant before saying which',
    inspects: 'app.current_tenant_id in the settings of roles, of the database and of the server',
    why: "A default tenant turns a forgotten tenant context, which must see nothing, into access to that tenant's rows.",
    remedy: 'ALTER ROLE … RESET app.current_tenant_id (or ALTER DATABASE …).',
    source: 'docs/decisions.md, 16',
    run: ({ snapshot }) =>
      judge(
        'settings of roles and databases',
        snapshot.roleSettings
          .filter(({ name, value }) => name === 'app.current_tenant_id' && value !== '')
          .map(({ role }) => ({
            object: role ? `role ${role}` : 'database',
            detail: 'sets a tenant by default',
          })),
      ),
  },
]);
