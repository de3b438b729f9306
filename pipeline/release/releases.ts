/** The record of releases: which migrations and settings were deployed, by whom, and the result of verification. */
import { createHash } from 'node:crypto';
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

export async function recordRelease(connection: Connection, release: Release): Promise<void> {
  const { environment, migrationsDigest, settingsDigest, outcome, counts, auditHead } = release;
  await asOwner(connection, () =>
    connection.client.query(
      `INSERT INTO llama.releases (environment, migrations_digest, settings_digest, executor, outcome,
                                   checks_passed, checks_failed, checks_skipped, audit_head)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
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
      ],
    ),
  );
}

/** SHA-256 (hex) over the names and checksums of migrations, in order. */
export function digestOfMigrations(files: readonly Pick<MigrationFile, 'name' | 'checksum'>[]): string {
  return digest(files.map(({ name, checksum }) => `${name} ${checksum}\n`).join(''));
}

/** SHA-256 (hex) over a JSON document. The order of its keys does not matter. */
export function digestOfSettings(document: unknown): string {
  return digest(canonical(document));
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`).join(',')}}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
