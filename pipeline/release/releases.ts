/** The record of releases: which migrations and settings were deployed, by whom, and the result of verification. */
import { canonical, sha256 } from '../../core/digest.ts';
import type { Connection } from '../../database/connection.ts';
import type { MigrationFile } from '../../database/migrator/files.ts';
import { asOwner } from '../../database/migrator/prepare.ts';

export interface Release {
  readonly environment: string;
  /** `digestOfMigrations` of the applied files. */
  readonly migrationsDigest: string;
  /** `digestOfSettings` of the deployment document. */
  readonly settingsDigest: string;
  readonly outcome: 'verified' | 'findings' | 'not verified';
  readonly counts: { readonly passed: number; readonly failed: number; readonly skipped: number };
  /** `number:hash` of the audit trail's newest seal; null if nothing is sealed or the seal cannot be read. */
  readonly auditHead: string | null;
}

/** The part of a record that only `llama-db release` knows. */
export interface ReleaseIdentity {
  /** Name of the release: the digest of its document. */
  readonly releaseDigest: string;
  /** The same in every environment for the same code, migrations, packages and providers. */
  readonly artifactDigest: string;
  readonly commit: string;
  /** When the apply began. */
  readonly startedAt: Date;
  readonly plan: object;
  readonly verification: Verification;
}

/** A verification by its groups. */
export interface Verification {
  /** Groups of which no check inspected anything, or a check could not read its facts. */
  readonly skippedGroups: readonly string[];
  /** Ids of failed checks of severity high or critical. */
  readonly failed: readonly string[];
}

/** Inserts a row of llama.releases. @param identity of a run of `llama-db release`. @default - the post-deploy step alone */
export async function recordRelease(
  connection: Connection,
  release: Release,
  identity?: ReleaseIdentity,
): Promise<void> {
  const { environment, migrationsDigest, settingsDigest, outcome, counts, auditHead } = release;
  await asOwner(connection, () =>
    connection.client.query(
      `INSERT INTO llama.releases (environment, migrations_digest, settings_digest, executor, outcome,
                                   checks_passed, checks_failed, checks_skipped, audit_head,
                                   release_digest, artifact_digest, commit, started_at, plan, verification)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
      [
        environment,
        migrationsDigest,
        settingsDigest,
        connection.credential.executor,
        outcome,
        counts.passed,
        counts.failed,
        counts.skipped,
        auditHead,
        identity?.releaseDigest ?? null,
        identity?.artifactDigest ?? null,
        identity?.commit ?? null,
        identity?.startedAt ?? null,
        identity ? JSON.stringify(identity.plan) : null,
        identity ? JSON.stringify(identity.verification) : null,
      ],
    ),
  );
}

/** The newest record of `llama-db release` in a database. */
export interface RecordedRelease extends Release, ReleaseIdentity {
  readonly id: string;
  readonly releasedAt: Date;
  readonly executor: string;
}

/** The newest release of an environment; undefined if `llama-db release` never ran there. */
export async function newestRelease(connection: Connection): Promise<RecordedRelease | undefined> {
  const { rows } = await connection.client.query<{ readonly there: boolean }>(
    "SELECT pg_catalog.to_regclass('llama.releases') IS NOT NULL AS there",
  );
  if (rows[0]?.there !== true) return undefined;
  const found = await asOwner(connection, () =>
    connection.client.query(
      `SELECT id::text, environment, migrations_digest AS "migrationsDigest", settings_digest AS "settingsDigest", executor,
              outcome, pg_catalog.json_build_object('passed', checks_passed, 'failed', checks_failed, 'skipped', checks_skipped)
                AS counts,
              audit_head AS "auditHead", release_digest AS "releaseDigest", artifact_digest AS "artifactDigest", commit,
              started_at AS "startedAt", released_at AS "releasedAt", verification, plan
         FROM llama.releases WHERE release_digest IS NOT NULL ORDER BY releases.id DESC LIMIT 1`,
    ),
  );
  const [row] = found.rows as RecordedRelease[];
  return row;
}

/** SHA-256 (hex) over the names and checksums of migrations, in order. */
export function digestOfMigrations(files: readonly Pick<MigrationFile, 'name' | 'checksum'>[]): string {
  return sha256(files.map(({ name, checksum }) => `${name} ${checksum}\n`).join(''));
}

/** SHA-256 (hex) over a JSON document. The order of its keys does not matter. */
export function digestOfSettings(document: unknown): string {
  return sha256(canonical(document));
}
