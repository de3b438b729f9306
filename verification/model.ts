/** Facts derived from a snapshot: which tables hold tenant rows, and which roles reach which others. */
import {
  ownerRole as owner,
  schema,
  tenantColumn,
  applicationRole as tenantRole,
  writesAuditTrail,
} from '../database/schema/roles.ts';
import type { Finding } from './check.ts';
import type { Column, Grant, Index, Relation, Routine, Snapshot, Trigger } from './snapshot/snapshot.ts';

export {
  adminRole,
  applicationRole as tenantRole,
  auditRole,
  auditTable,
  everyAdministrator,
  loginRoles,
  maintenanceOwner,
  maintenanceRole,
  ownerRole as owner,
  ownerRoles,
  schema,
  schemaRoles as groupRoles,
  sealRole,
  tenantColumn,
} from '../database/schema/roles.ts';

export const sealTable = 'llama.audit_seals';

/** Trigger functions that write the audit trail. */
export function auditFunctions({ functions }: Snapshot): readonly Routine[] {
  return functions.filter(({ returns, source }) => returns === 'trigger' && writesAuditTrail(source));
}

export interface Model {
  /** Tables of schema llama with a tenant column, without leaves and detached leaves. */
  readonly tenantTables: readonly Relation[];
  readonly partitioned: readonly Relation[];
  /** Partitions of tables of schema llama, at any depth, and detached ones. */
  readonly leaves: readonly Relation[];
  readonly detached: readonly Relation[];
  /** The application role and every role that may act as it, except for administrators. */
  readonly tenantRoles: readonly string[];
  leavesOf(parent: Relation): readonly Relation[];
  named(qualified: string): Relation | undefined;
  relation(oid: number): Relation | undefined;
  columnsOf(relation: Relation): readonly Column[];
  indexesOf(relation: Relation): readonly Index[];
  triggersOf(relation: Relation): readonly Trigger[];
  routine(oid: number): Routine | undefined;
  /** The role, PUBLIC and every role whose privileges it has without SET ROLE. */
  rightsOf(role: string): ReadonlySet<string>;
  /** The role, and every role that it may assume with SET ROLE or whose privileges it has. */
  reach(role: string): ReadonlySet<string>;
  /** Whether somebody logs in as the role, or can become it. A former administrator is a role that nobody uses. */
  isUsed(role: string): boolean;
}

const models = new WeakMap<Snapshot, Model>();

/** The model of a snapshot, computed once. */
export function modelOf(snapshot: Snapshot): Model {
  const known = models.get(snapshot);
  if (known) return known;
  const model = build(snapshot);
  models.set(snapshot, model);
  return model;
}

/** `llama.storage_records`. */
export function nameOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${schema}.${name}`;
}

/** `llama.write_audit()`. */
export function signatureOf(routine: Routine): string {
  return `${routine.schema}.${routine.name}(${routine.types})`;
}

/** Grants to other roles than the owner. */
export function foreignGrants(grants: readonly Grant[], ownerName: string): readonly Grant[] {
  return grants.filter(({ grantee }) => grantee !== ownerName);
}

/** `INSERT, SELECT to analytics_role; SELECT to PUBLIC`. */
export function describeGrants(grants: readonly Grant[]): string {
  const privileges = new Map<string, string[]>();
  for (const { grantee, privilege } of grants) {
    privileges.set(grantee, [...(privileges.get(grantee) ?? []), privilege]);
  }
  return [...privileges].map(([grantee, list]) => `${list.sort().join(', ')} to ${grantee}`).join('; ');
}

/** One finding about an object's grants; none without grants. */
export function granted(object: string, grants: readonly Grant[]): readonly Finding[] {
  return grants.length > 0 ? [{ object, detail: describeGrants(grants) }] : [];
}

/** Bits of pg_trigger.tgtype. */
const triggerBits = { row: 1, before: 2, insert: 4, delete: 8, update: 16, truncate: 32 } as const;

/** Whether a trigger fires in ordinary sessions, and for all of these parts of its type. */
export function fires(trigger: Trigger, ...parts: readonly (keyof typeof triggerBits)[]): boolean {
  return (trigger.enabled === 'O' || trigger.enabled === 'A') && includes(trigger, ...parts);
}

/** Whether a trigger is for all of these parts of its type, enabled or not. */
export function includes({ type }: Trigger, ...parts: readonly (keyof typeof triggerBits)[]): boolean {
  return parts.every((part) => type & triggerBits[part]);
}

const leafName = /^(.+)_y\d{4}m\d{2}$/;

/** The parent of a leaf by the leaf's name; undefined for any other name. */
export function parentNameOf(name: string): string | undefined {
  return leafName.exec(name)?.[1];
}

function build(snapshot: Snapshot): Model {
  const byOid = new Map(snapshot.relations.map((relation) => [relation.oid, relation]));
  const byName = new Map(snapshot.relations.map((relation) => [nameOf(relation), relation]));
  const columns = grouped(snapshot.columns, ({ relation }) => relation);
  const indexes = grouped(snapshot.indexes, ({ relation }) => relation);
  const triggers = grouped(snapshot.triggers, ({ relation }) => relation);
  const routines = new Map(snapshot.functions.map((routine) => [routine.oid, routine]));
  const leaves = grouped(
    snapshot.relations.filter(({ parent }) => parent !== null),
    ({ parent }) => parent ?? 0,
  );
  const ours = snapshot.relations.filter((relation) => relation.schema === schema);
  const partitioned = ours.filter(({ kind, parent }) => kind === 'p' && parent === null);
  const parents = new Set(partitioned.map(({ name }) => name));
  const isDetached = ({ kind, parent, name }: Relation) =>
    kind === 'r' && parent === null && parents.has(parentNameOf(name) ?? '');
  const detached = ours.filter(isDetached);
  const below = (relation: Relation): readonly Relation[] =>
    (leaves.get(relation.oid) ?? []).flatMap((leaf) => [leaf, ...below(leaf)]);
  const reach = (role: string) => closure(snapshot, role, ({ inherit, set }) => inherit || set);
  return {
    tenantTables: ours.filter(
      (relation) =>
        (relation.kind === 'r' || relation.kind === 'p') &&
        relation.parent === null &&
        !isDetached(relation) &&
        (columns.get(relation.oid) ?? []).some(({ name }) => name === tenantColumn),
    ),
    partitioned,
    leaves: [...ours.filter(({ parent }) => parent === null).flatMap(below), ...detached],
    detached,
    tenantRoles: snapshot.roles
      .map(({ name }) => name)
      .filter((name) => name === tenantRole || (reach(name).has(tenantRole) && !reach(name).has(owner))),
    leavesOf: ({ oid }) => leaves.get(oid) ?? [],
    named: (qualified) => byName.get(qualified),
    relation: (oid) => byOid.get(oid),
    columnsOf: ({ oid }) => columns.get(oid) ?? [],
    indexesOf: ({ oid }) => indexes.get(oid) ?? [],
    triggersOf: ({ oid }) => triggers.get(oid) ?? [],
    routine: (oid) => routines.get(oid),
    rightsOf: (role) => new Set([...closure(snapshot, role, ({ inherit }) => inherit), 'PUBLIC']),
    reach,
    isUsed: (role) => snapshot.roles.some(({ name, login }) => login && reach(name).has(role)),
  };
}

function closure(
  { memberships }: Snapshot,
  start: string,
  follows: (membership: Snapshot['memberships'][number]) => boolean,
): ReadonlySet<string> {
  const reached = new Set([start]);
  for (const role of reached) {
    for (const membership of memberships) {
      if (membership.member === role && follows(membership)) reached.add(membership.role);
    }
  }
  return reached;
}

function grouped<Item>(items: readonly Item[], key: (item: Item) => number): ReadonlyMap<number, Item[]> {
  const map = new Map<number, Item[]>();
  for (const item of items) {
    const list = map.get(key(item));
    if (list) list.push(item);
    else map.set(key(item), [item]);
  }
  return map;
}
