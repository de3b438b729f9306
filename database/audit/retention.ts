/** The retention of the trail, as its chain of seals proves it. */

import type pg from 'pg';
import { counted } from '../../core/text.ts';
import type { Seal } from './canonical.ts';
import { boundsOf, isMonth } from './months.ts';

/** Days that every month is kept at least: PCI DSS 4.0, 10.5.1, three months immediately available. */
export const leastRetentionDays = 90;

/** Seconds by which the clocks of a server and of its standby may differ. */
export const clockTolerance = 300;

const day = 24 * 3600;

/** First instant after a month, in seconds since 1970. */
export function endOf(month: string): number {
  return Date.parse(boundsOf(month)[1].slice(0, 10)) / 1000;
}

/** A closing without its hashes. */
export type Closing = Pick<Seal, 'number' | 'month' | 'sealedAt' | 'retentionDays'>;

/**
 * Judges whether a closing was written when its month could leave.
 *
 * @param required the longest retention in days that the seals record from the month's first one to this closing
 * @param now seconds since 1970 by the server's clock
 * @returns the violation, as the continuation of "seal 7 …"; undefined if the closing counts
 */
export function whyClosingFails(closing: Closing, required: number, now: number): string | undefined {
  const { month, retentionDays } = closing;
  if (!isMonth(month)) return undefined;
  const least = Math.max(required, leastRetentionDays);
  if (!(retentionDays >= least)) {
    return `claims a retention of ${counted(retentionDays, 'day')}, but ${least} days were in force for the month`;
  }
  const sealedAt = Number(closing.sealedAt);
  if (!(sealedAt <= now + clockTolerance))
    return `claims to be of ${instantOf(closing.sealedAt)}, in the future`;
  const missing = Math.ceil((endOf(month) + retentionDays * day - sealedAt) / day);
  if (missing > 0) {
    return `is of ${instantOf(closing.sealedAt)}, ${counted(missing, 'day')} before the end of ${counted(retentionDays, 'day')} of retention`;
  }
  return undefined;
}

/** ISO 8601; the text itself if it is not an instant, because a rewritten seal can contain anything. */
export function instantOf(seconds: string): string {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? seconds : date.toISOString();
}

/** A closing seal with the retention that the seals required of it. */
export interface JudgedClosing extends Closing {
  readonly failure: string | undefined;
}

/** Every closing of the chain, judged by the seals alone. The session needs a role that reads seals. */
export async function judgedClosings(client: pg.ClientBase): Promise<readonly JudgedClosing[]> {
  const { rows } = await client.query<Closing & { required: number; now: number }>(
    `WITH RECURSIVE kept (days) AS (
       SELECT max(s.retention_days) FROM llama.audit_seals AS s WHERE s.kind = 'rows'
       UNION ALL
       SELECT (SELECT max(s.retention_days) FROM llama.audit_seals AS s
                WHERE s.kind = 'rows' AND s.retention_days < kept.days)
         FROM kept WHERE kept.days IS NOT NULL
     )
     SELECT c.number::int, pg_catalog.to_char(c.month, 'YYYY-MM-DD') AS month,
            extract(epoch FROM c.sealed_at)::text AS "sealedAt", c.retention_days AS "retentionDays",
            extract(epoch FROM pg_catalog.clock_timestamp())::float8 AS now,
            coalesce((SELECT max(kept.days) FROM kept WHERE EXISTS (
              SELECT FROM llama.audit_seals AS s
               WHERE s.kind = 'rows' AND s.retention_days = kept.days AND s.number < c.number
                 AND s.number >= (SELECT coalesce(max(b.number), 1) FROM llama.audit_seals AS b
                                   WHERE b.kind = 'rows' AND b.number < (
                                     SELECT min(f.number) FROM llama.audit_seals AS f WHERE f.month = c.month))
            )), 0) AS required
       FROM llama.audit_seals AS c WHERE c.kind = 'closing' ORDER BY c.number`,
  );
  return rows.map(({ required, now, ...closing }) => ({
    ...closing,
    failure: whyClosingFails(closing, required, now),
  }));
}

/** Months that have seals of rows, whether a partition still holds them, and whether a closing that counts covers them. */
export interface SealedMonthState {
  /** `2026-11-01` */
  readonly month: string;
  readonly attached: boolean;
  readonly closed: boolean;
}

/** Skips from month to month through the index: seals are numerous, months are few. */
export async function sealedMonths(
  client: pg.ClientBase,
  closings: readonly JudgedClosing[],
): Promise<readonly SealedMonthState[]> {
  const { rows } = await client.query<{ month: string; attached: boolean; newest: number; kind: string }>(
    `WITH RECURSIVE sealed (month) AS (
       SELECT min(s.month) FROM llama.audit_seals AS s
       UNION ALL
       SELECT (SELECT min(s.month) FROM llama.audit_seals AS s WHERE s.month > sealed.month)
         FROM sealed WHERE sealed.month IS NOT NULL
     ), leaves AS (
       SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
         FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'llama.audit_trail'::pg_catalog.regclass AND NOT i.inhdetachpending
     )
     SELECT pg_catalog.to_char(m.month, 'YYYY-MM-DD') AS month,
            EXISTS (SELECT FROM leaves WHERE pg_catalog.starts_with(bound, pg_catalog.format('FOR VALUES FROM (%L)',
              pg_catalog.to_char(m.month, 'YYYY-MM-DD') || ' 00:00:00+00'))) AS attached,
            n.number::int AS newest, n.kind
       FROM sealed AS m
      CROSS JOIN LATERAL (SELECT s.number, s.kind FROM llama.audit_seals AS s
                           WHERE s.month = m.month ORDER BY s.number DESC LIMIT 1) AS n
      WHERE m.month IS NOT NULL ORDER BY 1`,
  );
  const failed = new Set(closings.filter(({ failure }) => failure).map(({ number }) => number));
  return rows.map(({ month, attached, newest, kind }) => ({
    month,
    attached,
    closed: kind === 'closing' && !failed.has(newest),
  }));
}
