/** The statements that give roles, owners, grants and default privileges back as the manifest has them. */
import pg from 'pg';
import type { Area, Described, Description } from './describe.ts';
import type { Facts } from './manifest.ts';
import { ownerRole } from './roles.ts';

export interface RepairStatement {
  /** The object by its name in the manifest: `function llama.write_audit()`. */
  readonly object: string;
  readonly sql: string;
}

/** Facts that a description leaves out. */
export interface Aside {
  /** Partitions that were detached, with the schema. */
  readonly detached: readonly string[];
  /** Sequences that follow their table. */
  readonly linkedSequences: readonly string[];
  /** Roles with a privilege on a leaf or its columns, other than its owner; `''` is PUBLIC. */
  readonly leafGrants: readonly { readonly leaf: string; readonly grantee: string }[];
}

/** Creates the roles and memberships that are missing. Other memberships are not changed. */
export function roleStatements(expected: Description, found: Description): readonly RepairStatement[] {
  const present = new Set(found.areas.roles.map(({ object }) => object));
  return expected.areas.roles
    .filter(({ object }) => !present.has(object))
    .flatMap(({ object, says }): readonly RepairStatement[] => {
      const [, role] = /^role (\S+)$/.exec(object) ?? [];
      if (role) {
        const inherits = says['inherits privileges'] === 'true' ? 'INHERIT' : 'NOINHERIT';
        return [{ object, sql: `CREATE ROLE ${role} NOLOGIN ${inherits}` }];
      }
      const [, member, group] = /^membership of (\S+) in (\S+)$/.exec(object) ?? [];
      if (!member || !group) return [];
      const options = (['INHERIT', 'SET', 'ADMIN'] as const).map(
        (name) => `${name} ${says[name] ?? 'false'}`,
      );
      return [{ object, sql: `GRANT ${group} TO ${member} WITH ${options.join(', ')}` }];
    })
    .sort((a, b) => Number(a.sql.startsWith('GRANT')) - Number(b.sql.startsWith('GRANT')));
}

/** Owners first: a new owner takes the grants of the old one with it. */
export function ownerStatements(
  expected: Description,
  found: Description,
  { detached, linkedSequences }: Aside,
): readonly RepairStatement[] {
  const present = new Map(found.areas.owners.map((one) => [one.object, one.says['owner']]));
  const follows = new Set(linkedSequences);
  const leafOwners = new Map(expected.areas.leaves.map(({ subject, says }) => [subject, says['owner']]));
  return [
    ...expected.areas.owners
      .filter(({ object, says }) => present.has(object) && present.get(object) !== says['owner'])
      .filter(({ object }) => !follows.has(object))
      // A new owner needs CREATE on the schema, which the owner of the schema has.
      .sort((a, b) => Number(isSchema(b.object)) - Number(isSchema(a.object)))
      .map(({ object, says }) => alterOwner(object, says['owner'] ?? ownerRole)),
    ...found.areas.leaves.flatMap(({ object, subject, says }) => {
      const owner = leafOwners.get(subject);
      return owner && says['owner'] !== owner ? [alterOwner(object, owner)] : [];
    }),
    ...detached.map((object) => alterOwner(object, ownerRole)),
  ];
}

const isSchema = (object: string) => object.startsWith('schema ');

/** ALTER TABLE takes every kind of relation. */
function alterOwner(object: string, owner: string): RepairStatement {
  const target = object.startsWith('schema ')
    ? `SCHEMA ${object.slice('schema '.length)}`
    : object.startsWith('function ')
      ? `ROUTINE ${object.slice('function '.length)}`
      : `TABLE ${object}`;
  return { object, sql: `ALTER ${target} OWNER TO ${owner === loginOwner ? 'CURRENT_USER' : owner}` };
}

/** The description's word for a login, whose name differs per server. */
export const loginOwner = 'a login that deploys';

/** Grants on objects that exist, both missing ones and those that no migration makes. */
export function grantStatements(
  expected: Description,
  found: Description,
  database: string,
): readonly RepairStatement[] {
  const kinds = new Map(found.areas.objects.map(({ object, says }) => [object, says['kind']]));
  const existing = new Set([...found.areas.objects, ...found.areas.functions].map(({ object }) => object));
  const exists = ({ object, subject }: Described) =>
    object === subject && /^(schema |this database$)/.test(object) ? true : existing.has(subject);
  const target = (object: string) => {
    if (object === 'this database') return `DATABASE ${pg.escapeIdentifier(database)}`;
    if (object.startsWith('schema ')) return `SCHEMA ${object.slice('schema '.length)}`;
    if (object.startsWith('function ')) return `ROUTINE ${object.slice('function '.length)}`;
    return kinds.get(object) === 'sequence' ? `SEQUENCE ${object}` : `TABLE ${object}`;
  };
  return pairs(expected, found, 'privileges')
    .filter(({ one }) => exists(one))
    .flatMap(({ one: { object, subject }, wanted, present }) => {
      const [, column] = /^column .*\.([^.]+)$/.exec(object) ?? [];
      const on = column ? `TABLE ${subject}` : target(object);
      return changes(wanted, present).map(({ privilege, verb, grantee, suffix }) => ({
        object,
        sql: `${verb} ${privilege}${column ? ` (${pg.escapeIdentifier(column)})` : ''} ON ${on} ${grantee}${suffix}`,
      }));
    });
}

/** No migration grants on a leaf. */
export function leafGrantStatements({ leafGrants }: Aside): readonly RepairStatement[] {
  return leafGrants.map(({ leaf, grantee }) => ({
    object: leaf,
    sql: `REVOKE ALL ON TABLE ${leaf} FROM ${grantee === '' ? 'PUBLIC' : pg.escapeIdentifier(grantee)}`,
  }));
}

/** Default privileges of the roles that the migrations make. */
export function defaultStatements(expected: Description, found: Description): readonly RepairStatement[] {
  const existing = new Set(found.areas.defaultPrivileges.map(({ object }) => object));
  return pairs(expected, found, 'defaultPrivileges').flatMap(({ one: { object }, wanted, present }) => {
    const [, role, kind, inSchema] =
      /^default privileges of (\S+) on (.+?)(?: in schema (\S+))?$/.exec(object) ?? [];
    if (!role || !kind) return [];
    const begin = `ALTER DEFAULT PRIVILEGES FOR ROLE ${role}${inSchema ? ` IN SCHEMA ${inSchema}` : ''}`;
    // Without an entry PUBLIC gets the built-in privileges of functions and types.
    const builtIn = { functions: 'EXECUTE to PUBLIC', types: 'USAGE to PUBLIC' }[kind];
    const now = existing.has(object) || inSchema || !builtIn ? present : { ...present, [builtIn]: 'granted' };
    return changes(wanted, now).map(({ privilege, verb, grantee, suffix }) => ({
      object,
      sql: `${begin} ${verb} ${privilege} ON ${kind.toUpperCase()} ${grantee}${suffix}`,
    }));
  });
}

interface Change {
  readonly privilege: string;
  readonly verb: 'GRANT' | 'REVOKE' | 'REVOKE GRANT OPTION FOR';
  /** `TO analytics_role`. */
  readonly grantee: string;
  readonly suffix: '' | ' WITH GRANT OPTION';
}

function changes(wanted: Facts, present: Facts): readonly Change[] {
  const grants = [...new Set([...Object.keys(wanted), ...Object.keys(present)])].sort();
  return grants.flatMap((grant): readonly Change[] => {
    const [should, is] = [wanted[grant], present[grant]];
    const [, privilege = '', role = ''] = /^(.+?) to (.+)$/s.exec(grant) ?? [];
    const name = role === 'PUBLIC' ? role : pg.escapeIdentifier(role);
    if (should === is) return [];
    if (should === undefined) return [{ privilege, verb: 'REVOKE', grantee: `FROM ${name}`, suffix: '' }];
    if (should === 'granted' && is !== undefined) {
      return [{ privilege, verb: 'REVOKE GRANT OPTION FOR', grantee: `FROM ${name}`, suffix: '' }];
    }
    const suffix = should === 'granted' ? '' : ' WITH GRANT OPTION';
    return [{ privilege, verb: 'GRANT', grantee: `TO ${name}`, suffix }];
  });
}

/** Every object of an area in either description, with its facts in both. */
function pairs(expected: Description, found: Description, area: Area) {
  const [wanted, present] = [expected, found].map(
    ({ areas }) => new Map(areas[area].map((one) => [one.object, one])),
  ) as [Map<string, Described>, Map<string, Described>];
  return [...new Map([...present, ...wanted]).values()].map((one) => ({
    one,
    wanted: wanted.get(one.object)?.says ?? {},
    present: present.get(one.object)?.says ?? {},
  }));
}

/** Roles that are to own something and need CREATE on its schema while they get it. */
export function newOwners(statements: readonly RepairStatement[]): readonly string[] {
  const roles = statements.flatMap(
    ({ sql }) => /^ALTER (?:TABLE|ROUTINE) .* OWNER TO (\w+)$/s.exec(sql)?.[1] ?? [],
  );
  return [...new Set(roles)].filter((role) => role !== 'CURRENT_USER').sort();
}
