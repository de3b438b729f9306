/** The parser's tree: PostgreSQL's own, as JSON. False, zero and empty members are left out of it. */
import type { DefElem, Node, RangeVar, RoleSpec, TypeName } from 'libpg-query';

type KeyOf<Union> = Union extends unknown ? keyof Union : never;
type Member<Union, Key extends PropertyKey> = Union extends Record<Key, infer Body> ? Body : never;

/** `CreateStmt`, `IndexStmt`, … */
export type Kind = KeyOf<Node>;
export type Body<K extends Kind> = Member<Node, K>;

/** The body of a node, if it is of that kind. */
export function is<K extends Kind>(node: Node | undefined, kind: K): Body<K> | undefined {
  return node !== undefined && Object.hasOwn(node, kind) ? (Reflect.get(node, kind) as Body<K>) : undefined;
}

/** The bodies of those nodes of a list that are of a kind. */
export function all<K extends Kind>(nodes: readonly Node[] | undefined, kind: K): Body<K>[] {
  return (nodes ?? []).flatMap((node) => is(node, kind) ?? []);
}

/** `llama.storage_records`, or only the table where no schema is written. */
export function nameOf(relation: RangeVar | undefined): string {
  if (relation === undefined) return '';
  const { schemaname, relname = '' } = relation;
  return schemaname === undefined ? relname : `${schemaname}.${relname}`;
}

/** Name of an object that the grammar keeps as a list of strings. */
export function dotted(parts: readonly Node[] | undefined): string {
  return all(parts, 'String')
    .map(({ sval = '' }) => sval)
    .join('.');
}

/** The names in DROP and the like. */
export function objectNames(objects: readonly Node[] | undefined): string[] {
  return (objects ?? []).map((object) => {
    const list = is(object, 'List');
    if (list) return dotted(list.items);
    const typed = is(object, 'ObjectWithArgs');
    return typed ? dotted(typed.objname) : dotted([object]);
  });
}

/** Without `pg_catalog`, which the grammar adds to its own words: `int4`, `timestamptz`, `llama.colour`. */
export function typeOf(type: TypeName | undefined): string {
  return dotted(type?.names).replace(/^pg_catalog\./, '');
}

/** `public` for PUBLIC; the empty string for CURRENT_USER and the like. */
export function roleName(role: RoleSpec | undefined): string {
  if (role?.roletype === 'ROLESPEC_PUBLIC') return 'public';
  return role?.roletype === 'ROLESPEC_CSTRING' ? (role.rolename ?? '') : '';
}

/** An option by its name. */
export function option(options: readonly Node[] | undefined, name: string): DefElem | undefined {
  return all(options, 'DefElem').find(({ defname }) => defname === name);
}

/** Whether an option is there and not switched off. */
export function isOn(options: readonly Node[] | undefined, name: string): boolean {
  const found = option(options, name);
  if (found === undefined) return false;
  // A word that is none of the grammar's, as off and no, stands there as the name of a type.
  const text = textOf(found.arg) ?? dotted(is(found.arg, 'TypeName')?.names);
  return !['false', 'off', '0', 'no'].includes(text.toLowerCase());
}

/** A constant as text. */
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
  /** Of a node that carries its kind; absent for a member whose kind the grammar fixes. */
  readonly kind: Kind | undefined;
  readonly body: Readonly<Record<string, unknown>>;
  /** Kinds of the nodes around it, outermost first. */
  readonly inside: readonly Kind[];
}

/** Everything below a node, in no particular order. A list instead of recursion: expressions nest as deep as they like. */
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

/** Every node of a kind below a root, the root included. */
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

/** Every relation that is named below a root, but not names of WITH queries. */
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
