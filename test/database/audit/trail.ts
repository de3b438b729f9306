/** An audit trail with rows and seals, and ways to tamper with it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Head } from '../../../database/audit/seals.ts';
import { type VerifiedTrail, verifyTrail } from '../../../database/audit/verify.ts';
import { resolveTarget } from '../../../database/target.ts';
import { migratedDatabase, type TestDatabase } from '../../support/postgres.ts';

export interface Trail {
  readonly database: TestDatabase;
  readonly client: pg.Client;
  readonly superuser: pg.Client;
}

export interface StoredSeal {
  readonly number: number;
  readonly kind: string;
  readonly month: string;
  readonly first: number;
  readonly last: number;
  readonly rows: number;
}

export async function makeTrail(): Promise<Trail> {
  const database = await migratedDatabase();
  return { database, client: await database.connect(), superuser: await database.connect('superuser') };
}

/** A record and its changes, each with one audit row. */
export async function change(client: pg.Client, tenant: string, times = 1): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await client.query('BEGIN; SET LOCAL ROLE admin_role');
    await client.query(
      `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value) VALUES ($1, 'm', 'f1', 0.5)`,
      [tenant],
    );
    await client.query('COMMIT');
  }
}

/** One call, as by pg_cron. @returns the number of rows sealed */
export async function sealOnce(client: pg.Client, ...args: readonly number[]): Promise<number> {
  await client.query('SET ROLE maintenance_role');
  try {
    const { rows } = await client.query<{ sealed: string }>(
      `SELECT llama.seal_audit_trail(${args.join(', ')}) AS sealed`,
    );
    return Number(rows[0]?.sealed);
  } finally {
    await client.query('RESET ROLE');
  }
}

/** Seals until all rows are sealed; transactions of concurrent tests on the same server can delay it. */
export async function sealAll({ client, superuser }: Trail, ...args: readonly number[]): Promise<void> {
  for (let left = 800; left > 0; left -= 1) {
    await sealOnce(client, ...args);
    const { rows } = await superuser.query<{ left: number }>(
      `SELECT count(*)::int AS left FROM llama.audit_trail
        WHERE sequence > coalesce((SELECT max(last_sequence) FROM llama.audit_seals WHERE kind = 'rows'), 0)
          AND "timestamp" BETWEEN '1970-01-01' AND '9999-01-01'`,
    );
    if (rows[0]?.left === 0) return;
    await sleep(30);
  }
  throw new Error('the trail was not sealed in time');
}

/** Calls until a position recorded earlier can be used, so that the next call can seal up to it. */
export async function noted({ superuser }: Trail): Promise<string | null> {
  const { rows } = await superuser.query<{ noted: string | null }>(
    'SELECT noted_sequence::text AS noted FROM llama.audit_sealing',
  );
  return rows[0]?.noted ?? null;
}

export async function sealsOf({ superuser }: Trail): Promise<readonly StoredSeal[]> {
  const { rows } = await superuser.query<StoredSeal>(
    `SELECT number::int, kind, to_char(month, 'YYYY-MM-DD') AS month, first_sequence::int AS first,
            last_sequence::int AS last, row_count::int AS rows FROM llama.audit_seals ORDER BY number`,
  );
  return rows;
}

/** Runs SQL as a superuser with all triggers and guards switched off. */
export async function tamper({ superuser }: Trail, sql: string): Promise<void> {
  await superuser.query(`SET session_replication_role = replica; ${sql}`);
  await superuser.query('RESET session_replication_role');
}

export async function verified({ database }: Trail, expect?: Head): Promise<VerifiedTrail> {
  const reporter = { line: () => {}, warn: () => {} };
  const target = await resolveTarget({ url: database.url() }, {});
  return verifyTrail(target, {
    reporter,
    ...(expect ? { expected: [{ ...expect, origin: '--expect' }] } : {}),
  });
}
