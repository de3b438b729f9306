/** Observations of a running database, made for a pack in one go. */
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { auditDocument } from '../../database/audit/describe.ts';
import type { RecordedHead } from '../../database/audit/heads.ts';
import { parseHead, readingTrail } from '../../database/audit/seals.ts';
import { verifyTrail } from '../../database/audit/verify.ts';
import { type Connection, withConnection } from '../../database/connection.ts';
import type { Target } from '../../database/target.ts';
import { reportDocument } from '../../verification/report/json.ts';
import { verdictOf } from '../../verification/verdict.ts';
import { verify } from '../../verification/verify.ts';
import type { Given } from './observations.ts';

export interface LiveOptions {
  readonly reporter: Reporter;
  readonly migrationsDirectory: string;
  /** Heads of the audit trail that were kept outside the database. @default - none */
  readonly keptHeads?: readonly RecordedHead[];
}

/**
 * Verifies the database and its audit trail, and reads its release records.
 *
 * @throws Fault (exit 2) if the target names no environment, or cannot be read
 */
export async function observeLive(target: Target, options: LiveOptions): Promise<readonly Given[]> {
  const { environment } = target;
  if (environment === undefined) {
    throw new Fault(
      'evidence/environment-unnamed',
      'The target names no environment',
      'it is a URL alone, so nothing shows which database it is',
      'Name the environment, or set LLAMA_DB_DEPLOYMENT beside --url.',
      { exitCode: 2 },
    );
  }
  const { reporter, migrationsDirectory, keptHeads = [] } = options;
  const report = await verify(target, { reporter, migrationsDirectory, keptHeads });
  const verification = reportDocument(report, verdictOf(report), { environment });
  const trail = await verifyTrail(target, { reporter, expected: keptHeads });
  const audit = auditDocument(trail, environment);
  const connect = {
    reporter,
    applicationName: 'llama-db evidence',
    session: 'reading',
    acceptStandby: true,
  } as const;
  const releases = await withConnection(target, connect, (connection) =>
    readReleases(connection, environment),
  );
  const origin = `the database of ${environment}`;
  return [
    { kind: 'verification', origin, text: text(verification) },
    { kind: 'releases', origin, text: text({ releases }) },
    { kind: 'audit', origin, text: text(audit) },
  ];
}

/** Release records of the environment, oldest first. */
async function readReleases(connection: Connection, environment: string): Promise<readonly object[]> {
  return readingTrail(connection, async () => {
    const { rows } = await connection.client.query(
      `SELECT r.id::text AS id, r.environment, pg_catalog.to_char(r.released_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at,
              r.migrations_digest AS "migrationsDigest", r.settings_digest AS "settingsDigest", r.executor, r.outcome,
              r.checks_passed AS "checksPassed", r.checks_failed AS "checksFailed", r.checks_skipped AS "checksSkipped",
              r.audit_head AS "auditHead", r.release_digest AS "releaseDigest", r.artifact_digest AS "artifactDigest",
              r.commit, pg_catalog.to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "startedAt", r.plan
         FROM llama.releases AS r WHERE r.environment = $1 ORDER BY r.id`,
      [environment],
    );
    return rows;
  });
}

/**
 * Whether the chain of a database still contains the head of a pack.
 *
 * @returns one line per finding; empty if it does
 * @throws Fault (exit 2) if the trail cannot be read
 */
export async function compareHead(
  target: Target,
  head: string,
  reporter: Reporter,
): Promise<readonly string[]> {
  const expected = [{ ...parseHead(head), origin: 'the pack' }];
  const { findings } = await verifyTrail(target, { reporter, expected });
  return findings.map(({ detail }) => detail);
}

function text(document: object): string {
  return `${JSON.stringify(document)}\n`;
}
