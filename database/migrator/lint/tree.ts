/** The parse tree of PostgreSQL as JSON. It omits members that are false, zero or empty. */
import type { DefElem, Node, RangeVar, RoleSpec, TypeName } from 'libpg-query';

type KeyOf<Union> = Union extends unknown ? keyof Union : never;
type Member<Union, Key extends PropertyKey> = Union extends Record<Key, infer Body> ? Body : never;

/** `CreateStmt`, `IndexStmt`, … */
export type Kind = KeyOf<Node>;
export type Body<K extends Kind> = Member<Node, K>;

/** The body of a node of this kind; undefined for any other node. */
export function is<K extends Kind>(node: Node | undefined, kind: K): Body<K> | undefined {
  return node !== undefined && Object.hasOwn(node, kind) ? (Reflect.get(node, kind) as Body<K>) : undefined;
}

/** The bodies of all nodes of this kind in a list. */
export function all<K extends Kind>(nodes: readonly Node[] | undefined, kind: K): Body<K>[] {
  return (nodes ?? []).flatMap((node) => is(node, kind) ?? []);
}

/** `llama.storage_records`, or the table alone if the statement names no schema. */
export function nameOf(relation: RangeVar | undefined): string {
  if (relation === undefined) return '';
  const { schemaname, relname = '' } = relation;
  return schemaname === undefined ? relname : `${schemaname}.${relname}`;
}

/** Name of an object that the grammar represents as a list of strings. */
export function dotted(parts: readonly Node[] | undefined): string {
  return all(parts, 'String')
    .map(({ sval = '' }) => sval)
    .join('.');
}

/** The names in DROP and similar statements. */
export function objectNames(objects: readonly Node[] | undefined): string[] {
  return (objects ?? []).map((object) => {
    const list = is(object, 'List');
    if (list) return dotted(list.items);
    const typed = is(object, 'ObjectWithArgs');
    return typed ? dotted(typed.objname) : dotted([object]);
  });
}

/** Name of a type without `pg_catalog`, which the grammar adds to keywords: `int4`, `timestamptz`, `llama.colour`. */
export function typeOf(type: TypeName | undefined): string {
  return dotted(type?.names).replace(/^pg_catalog\./, '');
}

/** Name of a role; `public` for PUBLIC, the empty string for CURRENT_USER and similar keywords. */
export function roleName(role: RoleSpec | undefined): string {
  if (role?.roletype === 'ROLESPEC_PUBLIC') return 'public';
  return role?.roletype === 'ROLESPEC_CSTRING' ? (role.rolename ?? '') : '';
}

/** The option of this name, if any. */
export function option(options: readonly Node[] | undefined, name: string): DefElem | undefined {
  return all(options, 'DefElem').find(({ defname }) => defname === name);
}

/** Whether an option is present and not switched off. */
export function isOn(options: readonly Node[] | undefined, name: string): boolean {
  const found = option(options, name);
  if (found === undefined) return false;
  // The tree contains words outside the grammar, such as off and no, as names of types.
  const text = textOf(found.arg) ?? dotted(is(found.arg, 'TypeName')?.names);
  return !['false', 'off', '0', 'no'].includes(text.toLowerCase());
}

/** A constant as text; undefined for any other node. */
export function textOf(node: Node | undefined): string | undefined {
  const constant = is(node, 'A_Const');
  if (constant) {
    if (constant.sval) return constant.sval.sval ?? '';
    if (constant.ival) return String(constant.ival.ival ?? 0);
    if (constant.fval) return constant.fval.fval;
    if (constant.boolval) return String(constant.boolval.boolval ?? false);
    return undefined;
  }
  const text = is(node, 'String');
  if (text) return text.sval ?? '';
  const integer = is(node, 'Integer');
  if (integer) return String(integer.ival ?? 0);
  const truth = is(node, 'Boolean');
  if (truth) return String(truth.boolval ?? false);
  const cast = is(node, 'TypeCast');
  return cast ? textOf(cast.arg) : undefined;
}

export interface Found {
  /** Kind of the node; undefined for a member whose kind the grammar fixes. */
  readonly kind: Kind | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  /** Kinds of the enclosing nodes, outermost first. */
  readonly inside: readonly Kind[];
}

/** All nodes below a root, in no particular order. It uses a list instead of recursion, because expressions nest deeply. */
export function* below(root: unknown): Generator<Found> {
  const waiting: { value: unknown; kind: Kind | undefined; inside: readonly Kind[] }[] = [
    { value: root, kind: undefined, inside: [] },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, kind, inside } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const item of value) waiting.push({ value: item, kind: undefined, inside });
      continue;
    }
    const body = value as Record<string, unknown>;
    yield { kind, body, inside };
    const around = kind === undefined ? inside : [...inside, kind];
    for (const [key, member] of Object.entries(body)) {
      const wrapped = /^[A-Z]/.test(key);
      waiting.push({ value: member, kind: wrapped ? (key as Kind) : undefined, inside: around });
    }
  }
}

/** Every node of a kind below a root, including the root. */
export function every<K extends Kind>(
  root: unknown,
  kind: K,
): (Body<K> & { readonly inside: readonly Kind[] })[] {
  const found: (Body<K> & { readonly inside: readonly Kind[] })[] = [];
  for (const { kind: its, body, inside } of below(root)) {
    if (its === kind) found.push({ ...(body as unknown as Body<K>), inside });
  }
  return found;
}

/** Every relation below a root, except names of WITH queries. */
export function relationsIn(root: unknown): RangeVar[] {
  const relations: RangeVar[] = [];
  const own = new Set(every(root, 'CommonTableExpr').map(({ ctename }) => ctename));
  for (const { body } of below(root)) {
    if (typeof body['relname'] !== 'string' || !('relpersistence' in body)) continue;
    const relation = body as RangeVar;
    if (relation.schemaname === undefined && own.has(relation.relname)) continue;
    relations.push(relation);
  }
  return relations;
}

/** Names of the tables and functions that a statement is about. */
export function subjectsOf(node: Node): string[] {
  const drop = is(node, 'DropStmt');
  const grant = is(node, 'GrantStmt');
  const fn = is(node, 'CreateFunctionStmt');
  const registered = is(node, 'InsertStmt')?.selectStmt;
  return [
    ...relationsIn(node).map(nameOf),
    ...objectNames(drop?.objects).flatMap((name) => [name, name.split('.').slice(0, -1).join('.')]),
    ...objectNames(grant?.objects),
    ...(fn ? [dotted(fn.funcname)] : []),
    ...every(registered, 'List').flatMap(({ items }) => `llama.${textOf(items?.[0])}`),
  ];
}
