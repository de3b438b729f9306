/** Ways around the policies that need no policy: privileges, default privileges, keys, copies. */
import { isPlatform } from '../../database/overrides.ts';
import { checksOf, type Finding } from '../check.ts';
import {
  everyAdministrator,
  foreignGrants,
  granted,
  groupRoles,
  modelOf,
  nameOf,
  owner,
  schema,
  tenantColumn,
  tenantRole,
} from '../model.ts';
import { counted, judge, listed } from '../outcome.ts';
import { grantsOn, reachesTenants, rolesOfTenants } from '../reach.ts';
import type { Grant } from '../snapshot/snapshot.ts';

export const checks = checksOf('isolation', [
  {
    id: 'ISO-027',
    name: 'structural-privileges-owner-only',
    loses: 'barrier',
    title: 'Only the owner may TRUNCATE, REFERENCE, put triggers on or MAINTAIN a table',
    inspects: 'privileges on tables of schema llama',
    why: 'Policies do not filter TRUNCATE. A foreign key probes rows that its author cannot see. A trigger runs with the rights of the next writer.',
    remedy: 'REVOKE TRUNCATE, REFERENCES, TRIGGER ON … FROM the role (and MAINTAIN from version 17 on).',
    source: 'docs/decisions.md, 15; PostgreSQL manual, Row Security Policies',
    run: ({ snapshot }) => {
      // ISO-004 reports grants on leaves.
      const leaves = new Set(modelOf(snapshot).leaves.map(({ oid }) => oid));
      const tables = snapshot.relations.filter(
        (relation) =>
          relation.schema === schema && ['r', 'p', 'm'].includes(relation.kind) && !leaves.has(relation.oid),
      );
      const structural = new Set(['TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']);
      return judge(
        counted(tables.length, 'table'),
        tables.flatMap((table) =>
          granted(
            nameOf(table),
            foreignGrants(table.grants, table.owner).filter(({ privilege }) => structural.has(privilege)),
          ),
        ),
      );
    },
  },
  {
    id: 'ISO-028',
    name: 'default-privileges-grant-nothing',
    loses: 'barrier',
    title: 'Default privileges grant nothing on new objects',
    inspects: 'pg_default_acl of every role, in every schema, except for grants to roles of the platform',
    why: 'ALTER DEFAULT PRIVILEGES … GRANT … ON TABLES also opens every partition that maintenance creates later.',
    remedy: 'ALTER DEFAULT PRIVILEGES FOR ROLE … REVOKE …, and grant on each object by name.',
    source: 'docs/decisions.md, 14; reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) => {
      const relevant = snapshot.defaultPrivileges.filter(
        // A type and its values are of use to nobody without a table.
        ({ objects }) => objects !== 'T',
      );
      const kinds: Readonly<Record<string, string>> = {
        ...{ r: 'tables', S: 'sequences', f: 'functions' },
        ...{ n: 'schemas', L: 'large objects' },
      };
      return judge(
        counted(relevant.length, 'default privilege'),
        relevant.flatMap((entry) =>
          granted(
            `future ${kinds[entry.objects]} of ${entry.creator}`,
            foreignGrants(entry.grants, entry.creator).filter(({ grantee }) => !isPlatform(grantee)),
          ),
        ),
      );
    },
  },
  {
    id: 'ISO-029',
    name: 'new-functions-closed-to-public',
    loses: 'barrier',
    title: 'PUBLIC gets no EXECUTE on new functions of the owner',
    inspects: `default privileges of ${owner} on functions, in all schemas`,
    why: 'Without these default privileges PUBLIC may execute every function of a later migration until somebody revokes it.',
    remedy: `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC. IN SCHEMA would not revoke it.`,
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
    loses: 'control',
    title: 'Only owners create objects in a schema, and only administrators create schemas',
    inspects: `CREATE on every schema for PUBLIC, the group roles and tenant logins; on schema ${schema} and on the database for every role but administrators`,
    why: "A role that may create in a schema of somebody's search path can replace a function or table there. Azure leaves schema public open to PUBLIC.",
    remedy: 'REVOKE CREATE ON SCHEMA … (or ON DATABASE …) FROM PUBLIC (or the role).',
    source: 'CVE-2018-1058; Microsoft Learn, Access management (schema public)',
    run: ({ snapshot }) => {
      const restricted = new Set<string>([...rolesOfTenants(snapshot), ...groupRoles]);
      const created = (grants: readonly Grant[], by: string, everyRole = false) =>
        foreignGrants(grants, by).filter(
          ({ privilege, grantee }) => privilege === 'CREATE' && (everyRole || restricted.has(grantee)),
        );
      const { server, schemas } = snapshot;
      const places = [
        ...schemas.map(({ name, owner: by, grants }) => ({
          object: `schema ${name}`,
          grants: created(grants, by, name === schema),
        })),
        {
          object: `database ${server.database}`,
          grants: created(server.databaseGrants, server.databaseOwner, true).filter(
            ({ grantee }) =>
              !isPlatform(grantee) && !modelOf(snapshot).reach(grantee).has(everyAdministrator),
          ),
        },
      ];
      return judge(
        `${counted(schemas.length, 'schema')} and the database`,
        places.flatMap(({ object, grants }) => granted(object, grants)),
      );
    },
  },
  {
    id: 'ISO-031',
    name: 'tenants-create-no-temporary-objects',
    loses: 'barrier',
    title: 'No tenant role may create temporary objects',
    inspects: `TEMPORARY on the database, for PUBLIC, ${tenantRole} and its logins`,
    why: 'A temporary table or function is the usual way to shadow a name that a privileged function looks up.',
    remedy: 'REVOKE TEMPORARY ON DATABASE … FROM PUBLIC.',
    source: 'PostgreSQL manual, Writing SECURITY DEFINER Functions Safely',
    run: ({ snapshot }) => {
      const grants = snapshot.server.databaseGrants.filter(({ privilege }) => privilege === 'TEMPORARY');
      const roles = rolesOfTenants(snapshot);
      const open = grants.filter(({ grantee }) => roles.has(grantee));
      return judge('pg_database.datacl', granted(`database ${snapshot.server.database}`, open));
    },
  },
  {
    id: 'ISO-032',
    name: 'unique-keys-carry-tenant',
    loses: 'barrier',
    title: 'Every unique key of a tenant table contains the tenant',
    inspects: 'unique indexes of tenant tables',
    why: 'Uniqueness is checked over rows that the policies hide: "duplicate key" reveals to one tenant what another one has.',
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
            detail: `is unique on (${index.columns.join(', ')}) across tenants`,
          })),
      );
    },
  },
  {
    id: 'ISO-033',
    name: 'foreign-keys-carry-tenant',
    loses: 'barrier',
    title: 'Foreign keys between tenant tables contain the tenant',
    inspects: 'pg_constraint: columns of both sides',
    why: 'The check of a foreign key sees the rows of every tenant. A key without the tenant lets one tenant refer to a row of another, and so learn of it.',
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
            detail: `does not contain the tenant: ${key.definition}`,
          })),
      );
    },
  },
  {
    id: 'ISO-034',
    name: 'sequences-closed-to-tenants',
    loses: 'barrier',
    title: 'No tenant role can read or set a sequence',
    inspects: `SELECT and UPDATE on sequences, for ${tenantRole}, its logins and PUBLIC`,
    why: 'A sequence counts the rows of every tenant, and setval() makes the next insert of any tenant fail.',
    remedy: 'REVOKE SELECT, UPDATE ON SEQUENCE …; USAGE is enough for inserts.',
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
          .flatMap((sequence) => granted(nameOf(sequence), sequence.grants)),
      );
    },
  },
  {
    id: 'ISO-037',
    name: 'publications-carry-no-tenant-rows',
    loses: 'barrier',
    title: 'No publication contains a table of schema llama without a row filter',
    inspects: 'publications that contain a table of schema llama or a leaf',
    why: 'Logical replication reads the write-ahead log, where no policy applies: a subscriber gets the rows of every tenant, and the seals, keys and registries.',
    remedy:
      'Drop a publication that nobody needs. Otherwise give the table a row filter, or accept this finding while data is being moved.',
    source: 'PostgreSQL manual, Logical Replication: Security',
    run: ({ snapshot }) => {
      const ours = new Set(
        [...snapshot.relations.filter((table) => table.schema === schema), ...modelOf(snapshot).leaves].map(
          (table) => nameOf(table),
        ),
      );
      return judge(
        counted(snapshot.publications.length, 'publication'),
        snapshot.publications.flatMap(({ name, everything, tables }): readonly Finding[] => {
          if (everything) return [{ object: `publication ${name}`, detail: 'is FOR ALL TABLES' }];
          const open = tables.filter((table) => !table.filtered && ours.has(nameOf(table))).map(nameOf);
          return listed(`publication ${name}`, 'contains', open);
        }),
      );
    },
  },
  {
    id: 'ISO-038',
    name: 'no-tenant-rows-outside-schema',
    loses: 'barrier',
    title: 'No table outside schema llama has a tenant column',
    inspects: 'tables and materialized views of other schemas with a column tenant_id',
    why: 'Copies made during an incident have no policies, no audit and no retention, and outlive the incident.',
    remedy: 'Drop the copy, or move it into schema llama with a migration that protects it.',
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
            detail: `has a column tenant_id, owner is ${table.owner}`,
          })),
      );
    },
  },
  {
    id: 'ISO-039',
    name: 'tenant-tables-granted-to-known-roles',
    loses: 'barrier',
    title: 'Only the documented group roles have privileges on tenant tables',
    inspects: 'grantees of every tenant table and its columns',
    why: 'A grant to a login or to PUBLIC does not show in the group roles, and remains when the login leaves them.',
    remedy: 'REVOKE it, and put the login into a group role.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const known = new Set<string>(groupRoles);
      return judge(
        counted(model.tenantTables.length, 'tenant table'),
        model.tenantTables.flatMap((table) =>
          granted(
            nameOf(table),
            foreignGrants(grantsOn(snapshot, table), table.owner).filter(
              ({ grantee }) => !known.has(grantee),
            ),
          ),
        ),
      );
    },
  },
  {
    id: 'ISO-040',
    name: 'no-default-tenant',
    loses: 'isolation',
    title: 'No role or database has a default tenant',
    inspects: 'app.current_tenant_id in the settings of roles, of the database and of the server',
    why: 'A forgotten tenant context must see nothing. With a default tenant it sees the rows of that tenant.',
    remedy: 'ALTER ROLE … RESET app.current_tenant_id (or ALTER DATABASE …).',
    source: 'docs/decisions.md, 16',
    run: ({ snapshot }) =>
      judge(
        'settings of roles and databases',
        snapshot.roleSettings
          .filter(({ name, value }) => name === 'app.current_tenant_id' && value !== '')
          .map(({ role }) => ({
            object: role ? `role ${role}` : 'database',
            detail: 'sets a default tenant',
          })),
      ),
  },
]);
