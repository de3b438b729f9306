/** Reads the chain of seals, and extends it. */
import type pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { asMaintenance } from '../maintain/run.ts';
import type { Seal } from './canonical.ts';

/** Number and hash of a seal. A copy outside the database proves later that the chain still contains the seal. */
export interface Head {
  readonly number: number;
  /** Hex. */
  readonly hash: string;
}

export function formatHead({ number, hash }: Head): string {
  return `${number}:${hash}`;
}

/** @throws Fault (exit 2) if the text is not `number:hash` */
export function parseHead(text: string): Head {
  const [, number, hash] = /^([1-9]\d{0,15}):([0-9a-f]{64})$/i.exec(text.trim()) ?? [];
  if (number && hash) return { number: Number(number), hash: hash.toLowerCase() };
  throw new Fault(
    'audit/head-malformed',
    `${JSON.stringify(text)} is not the head of an audit trail`,
    'a head consists of the number of a seal, a colon and its hash in 64 hexadecimal digits',
    'Copy it from the output of an earlier llama-db audit verify or audit head, or from the record of a release.',
    { exitCode: 2 },
  );
}

const columns = `number::text, kind, pg_catalog.to_char(month, 'YYYY-MM-DD') AS month,
  first_sequence::text AS "firstSequence", last_sequence::text AS "lastSequence", row_count::text AS "rowCount",
  pg_catalog.encode(content_hash, 'hex') AS "contentHash", pg_catalog.encode(previous_hash, 'hex') AS "previousHash",
  pg_catalog.encode(hash, 'hex') AS hash, extract(epoch FROM sealed_at)::text AS "sealedAt",
  retention_days AS "retentionDays", extract(epoch FROM noted_at)::text AS "notedAt"`;

type Texts = { readonly [Key in keyof Omit<Seal, 'retentionDays' | 'notedAt'>]: string } & Pick<
  Seal,
  'retentionDays' | 'notedAt'
>;

/** Pages of seals in order: all seals, or only the seals of rows of one month (`2026-11-01`). */
export async function* sealsAfter(
  client: pg.Client,
  after: number,
  { month, pageSize = 2000 }: { readonly month?: string; readonly pageSize?: number } = {},
): AsyncGenerator<readonly Seal[]> {
  for (let last = after; ; ) {
    const { rows } = await client.query<Texts>(
      `SELECT ${columns} FROM llama.audit_seals AS s
        WHERE s.number > $1 AND ($2::date IS NULL OR s.month = $2 AND s.kind = 'rows')
        ORDER BY s.number LIMIT $3`,
      [last, month ?? null, pageSize],
    );
    if (rows.length === 0) return;
    const page = rows.map(parse);
    yield page;
    last = page.at(-1)?.number ?? last;
  }
}

/** The newest seals, oldest first. */
export async function newestSeals(client: pg.Client, count: number): Promise<readonly Seal[]> {
  const { rows } = await client.query<Texts>(
    `SELECT ${columns} FROM llama.audit_seals AS s ORDER BY s.number DESC LIMIT $1`,
    [count],
  );
  return rows.map(parse).reverse();
}

/** The seals with the numbers of heads. */
export async function sealsNumbered(
  client: pg.Client,
  heads: readonly Pick<Head, 'number'>[],
): Promise<readonly Seal[]> {
  const { rows } = await client.query<Texts>(
    `SELECT ${columns} FROM llama.audit_seals AS s WHERE s.number = ANY ($1) ORDER BY s.number`,
    [[...new Set(heads.map(({ number }) => number))]],
  );
  return rows.map(parse);
}

function parse(row: Texts): Seal {
  return {
    number: Number(row.number),
    kind: row.kind === 'closing' ? 'closing' : 'rows',
    month: row.month,
    firstSequence: BigInt(row.firstSequence),
    lastSequence: BigInt(row.lastSequence),
    rowCount: BigInt(row.rowCount),
    contentHash: row.contentHash,
    previousHash: row.previousHash,
    hash: row.hash,
    sealedAt: row.sealedAt,
    retentionDays: row.retentionDays,
    notedAt: row.notedAt,
  };
}

/** The newest seal in the table, unchecked; undefined if nothing is sealed. The session needs a role that reads seals. */
export async function readHead(client: pg.Client): Promise<Head | undefined> {
  const { rows } = await client.query<{ number: string; hash: string }>(
    `SELECT number::text, pg_catalog.encode(hash, 'hex') AS hash
       FROM llama.audit_seals ORDER BY number DESC LIMIT 1`,
  );
  return rows[0] && { number: Number(rows[0].number), hash: rows[0].hash };
}

/**
 * The head for the record of a deployment.
 *
 * @returns null if nothing is sealed yet, or if the login cannot read the trail; the verification reports the latter
 */
export async function headOfDeployment(
  connection: Pick<Connection, 'client' | 'circumstances'>,
): Promise<string | null> {
  try {
    const head = await readingTrail(connection, () => readHead(connection.client));
    return head ? formatHead(head) : null;
  } catch (error) {
    if (error instanceof Fault) return null;
    throw error;
  }
}

/**
 * Runs `work` in a read-only transaction, as a role that sees the whole trail and its seals.
 *
 * @throws Fault (exit 2) if the database has no seals table, or if the login may not read the trail
 */
export async function readingTrail<Result>(
  { client, circumstances }: Pick<Connection, 'client' | 'circumstances'>,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    const { rows } = await client.query<{ there: boolean; may_set: boolean; has: boolean }>(
      `SELECT pg_catalog.to_regclass('llama.audit_seals') IS NOT NULL AS there,
              pg_catalog.pg_has_role(SESSION_USER, r.oid, 'SET') AS may_set,
              pg_catalog.pg_has_role(SESSION_USER, r.oid, 'USAGE') AS has
         FROM (SELECT pg_catalog.to_regrole('admin_role')::oid AS oid) AS r`,
    );
    const [found] = rows;
    if (!found?.there) {
      throw new Fault(
        'audit/not-sealed',
        `The audit trail of ${circumstances.target} is not sealed`,
        'table llama.audit_seals, which migration 0012 creates, does not exist',
        'Deploy the environment or run llama-db migrate first.',
        { exitCode: 2 },
      );
    }
    if (!found.may_set && !found.has) {
      throw new Fault(
        'audit/not-readable',
        `${circumstances.user} may not read the audit trail of ${circumstances.target}`,
        'only members of admin_role see the rows of all tenants and the seals',
        `As the administrator, run GRANT admin_role TO "${circumstances.user}".`,
        { exitCode: 2 },
      );
    }
    if (found.may_set) await client.query('SET LOCAL ROLE admin_role');
    return await work();
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/**
 * Seals all rows that can be sealed now. One call of llama.seal_audit_trail records how far the trail reaches, and a later
 * call seals up to there. Rows stay unsealed while a running transaction could still add rows before them.
 *
 * @returns the number of rows sealed
 */
export function seal(connection: Pick<Connection, 'client' | 'circumstances'>): Promise<number> {
  return asMaintenance(connection, async () => {
    let sealed = 0;
    // A call seals up to the recorded position and can record the next one only after that, so one call is not enough.
    for (let call = 0; call < 3; call += 1) {
      const { rows } = await connection.client.query<{ sealed: string }>(
        'SELECT llama.seal_audit_trail() AS sealed',
      );
      sealed += Number(rows[0]?.sealed ?? 0);
    }
    return sealed;
  });
}
