/**
 * The one introspection of schema `llama`: the manifest, the drift checks and the tests all read it.
 */
import type pg from 'pg';
import { readOnly } from '../transaction.ts';
import { type Area, areas, queries } from './queries.ts';

export { type Area, areas };

/** One object of the schema and its facts. */
export interface Described {
  /** Full name, readable on its own: `policy tenant_floor_audit on llama.audit_trail`. */
  readonly object: string;
  /** The relation, function or role that the object belongs to. The object itself if it belongs to none. */
  readonly subject: string;
  /** Facts by name. A fact that has its usual value (`persistence: logged`) is left out. */
  readonly says: Readonly<Record<string, string>>;
}

export type Areas = Readonly<Record<Area, readonly Described[]>>;

export interface Description {
  /** Major version of the server: 17. */
  readonly major: number;
  /** Objects of each area, ordered by name. Area `leaves` has one object per partition. */
  readonly areas: Areas;
}

/**
 * Describes schema `llama` and everything outside it that migrations make: roles, memberships, default
 * privileges, extensions and grants on the database.
 *
 * Reads in one read-only transaction, or inside the caller's.
 *
 * @throws what the driver throws if a catalog cannot be read or the connection is lost
 */
export async function describeSchema(client: pg.Client): Promise<Description> {
  return readOnly(client, async () => {
    const { rows } = await client.query<{ major: number }>(
      "SELECT current_setting('server_version_num')::int / 10000 AS major",
    );
    const found: Partial<Record<Area, readonly Described[]>> = {};
    for (const area of areas) {
      const result = await client.query<Row>(queries[area]);
      const list = result.rows.map(described).sort(byObject);
      found[area] = hasBareObjects(area) ? list.filter(({ says }) => Object.keys(says).length > 0) : list;
    }
    return { major: rows[0]?.major ?? 0, areas: found as Areas };
  });
}

/**
 * Whether an object of the area may have no fact at all: a table without a grant, or kept in the usual way. A
 * description leaves such objects out.
 */
export const hasBareObjects = (area: Area) => area === 'privileges' || area === 'storage';

/** Order of objects in a description and in the manifest: by code unit, whatever the server's collation. */
export function byObject(a: Pick<Described, 'object'>, b: Pick<Described, 'object'>): number {
  return a.object < b.object ? -1 : a.object > b.object ? 1 : 0;
}

interface Row {
  readonly object: string;
  readonly parent: string | null;
  readonly says: Readonly<Record<string, unknown>>;
}

function described({ object, parent, says }: Row): Described {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  const facts = Object.entries(says).map(([name, value]) => [name, text(value)] as const);
  return {
    object,
    subject: parent ?? object,
    says: Object.fromEntries(facts.sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}
