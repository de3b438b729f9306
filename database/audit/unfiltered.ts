/**
 * Whether a reader of the trail sees all of it.
 *
 * On Azure nobody bypasses row-level security, so every reader depends on policies, and the owner of the tables can bend
 * them: a policy that hides a forged row would make the trail look intact.
 */
import type pg from 'pg';
import { sealedColumns } from './canonical.ts';

/** Relations that a verification reads, with the kind that each must have. */
const read = { audit_trail: 'p', audit_seals: 'r', releases: 'r' } as const;

export interface Distortion {
  readonly kind: 'filtered reading' | 'unsealed column';
  readonly object: string;
  /** Continues a sentence that starts with the object. */
  readonly detail: string;
  /** Whether rows cannot be compared at all. @default false */
  readonly unreadable?: boolean;
}

interface Found {
  readonly name: keyof typeof read;
  readonly kind: string | null;
  readonly rules: readonly string[];
  readonly policies: readonly {
    readonly name: string;
    readonly permissive: boolean;
    readonly using: string | null;
  }[];
  readonly secured: boolean;
  readonly readable: boolean;
}

/** Runs inside the reading transaction, as the role that reads. */
export async function distortionsOf(client: pg.ClientBase): Promise<readonly Distortion[]> {
  const { rows } = await client.query<Found>(
    `SELECT w.name, c.relkind AS kind, coalesce(c.relrowsecurity, false) AS secured,
            coalesce(pg_catalog.has_table_privilege(c.oid, 'SELECT'), true) AS readable,
            ARRAY(SELECT r.rulename::text FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid ORDER BY 1) AS rules,
            coalesce((
              SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', p.polname, 'permissive', p.polpermissive,
                       'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid)) ORDER BY p.polname)
                FROM pg_catalog.pg_policy AS p
               WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*')
                 AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS role
                              WHERE role = 0 OR pg_catalog.pg_has_role(current_user, role, 'USAGE'))
            ), '[]') AS policies
       FROM pg_catalog.unnest($1::text[]) AS w(name)
       LEFT JOIN pg_catalog.pg_class AS c
         ON c.oid = pg_catalog.to_regclass(pg_catalog.format('llama.%I', w.name))
      ORDER BY 1`,
    [Object.keys(read)],
  );
  return [...rows.flatMap(filters), ...(await foreignLeaves(client)), ...(await columnsBesideSeal(client))];
}

function filters({ name, kind, rules, policies, secured, readable }: Found): readonly Distortion[] {
  const object = `llama.${name}`;
  const found = (detail: string): Distortion => ({ kind: 'filtered reading', object, detail });
  if (kind !== read[name]) {
    if (kind === null && name === 'releases') return [];
    const detail = kind === null ? 'does not exist' : `is not the table of its migration: relkind ${kind}`;
    return [{ ...found(detail), unreadable: name === 'audit_trail' }];
  }
  if (!readable) {
    return [{ ...found('cannot be read by the role of this verification'), unreadable: name !== 'releases' }];
  }
  const restrictive = policies.filter(({ permissive, using }) => !permissive && using !== 'true');
  const open = policies.some(({ permissive, using }) => permissive && using === 'true');
  return [
    ...rules.map((rule) => found(`has the rule ${rule}`)),
    ...(secured ? restrictive : []).map((policy) =>
      found(`has the restrictive policy ${policy.name}, which hides rows from this verification`),
    ),
    ...(secured && !open
      ? [found('has no policy with USING (true) for this verification: it would not see every row')]
      : []),
  ];
}

/** A partition that is a foreign table or a table of another owner's making can answer with anything. */
async function foreignLeaves(client: pg.ClientBase): Promise<readonly Distortion[]> {
  const { rows } = await client.query<{ name: string; kind: string }>(
    `SELECT c.relname AS name, c.relkind AS kind
       FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass('llama.audit_trail')) AS t
       JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
      WHERE c.relkind NOT IN ('r', 'p') OR EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid)
      ORDER BY 1`,
  );
  return rows.map(({ name, kind }) => ({
    kind: 'filtered reading',
    object: `llama.${name}`,
    detail: kind === 'f' ? 'is a foreign table' : 'has a rule',
  }));
}

async function columnsBesideSeal(client: pg.ClientBase): Promise<readonly Distortion[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT a.attname AS name FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid = pg_catalog.to_regclass('llama.audit_trail') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
  );
  const present = new Set(rows.map(({ name }) => name));
  const object = 'llama.audit_trail';
  return [
    ...[...present]
      .filter((name) => !sealedColumns.includes(name))
      .map(
        (name): Distortion => ({
          kind: 'unsealed column',
          object,
          detail: `has column ${name}, which no seal covers`,
        }),
      ),
    ...sealedColumns
      .filter((name) => present.size > 0 && !present.has(name))
      .map(
        (name): Distortion => ({
          kind: 'unsealed column',
          object,
          detail: `has no column ${name}, which its seals cover`,
          unreadable: true,
        }),
      ),
  ];
}
