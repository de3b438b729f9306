/** One database's schema as words that can be compared with another's. */
import type pg from 'pg';
import { readOnly } from '../transaction.ts';
import { type Area, queries } from './queries.ts';

export type { Area } from './queries.ts';

export interface Described {
  /** As a person would name it: `policy tenant_floor_audit on llama.audit_trail`. */
  readonly object: string;
  /** What it cannot be without; where that is missing, this is not told as well. */
  readonly parent: string | null;
  readonly says: Readonly<Record<string, string>>;
}

export interface Description {
  /** server_version_num divided by 10,000. */
  readonly major: number;
  readonly areas: Readonly<Record<Area, readonly Described[]>>;
}

/** Reads schema llama, and what belongs to it elsewhere, in one read-only transaction. */
export async function describeSchema(client: pg.Client): Promise<Description> {
  return readOnly(client, async () => {
    const { rows } = await client.query<{ major: number }>(
      "SELECT current_setting('server_version_num')::int / 10000 AS major",
    );
    const areas: Partial<Record<Area, readonly Described[]>> = {};
    for (const [area, sql] of Object.entries(queries)) {
      areas[area as Area] = (await client.query<RawRow>(sql)).rows.map(asText);
    }
    return { major: rows[0]?.major ?? 0, areas: areas as Description['areas'] };
  });
}

interface RawRow {
  readonly object: string;
  readonly parent: string | null;
  readonly says: Readonly<Record<string, unknown>>;
}

function asText({ object, parent, says }: RawRow): Described {
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  return {
    object,
    parent,
    says: Object.fromEntries(Object.entries(says).map(([name, value]) => [name, text(value)])),
  };
}
