/** The facts of one environment's database that promotion asks for, as they were at one moment. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { messageOf } from '../../core/text.ts';
import { keptHeads } from '../../database/audit/heads.ts';
import { verifyTrail } from '../../database/audit/verify.ts';
import { withConnection } from '../../database/connection.ts';
import { listMigrations } from '../../database/migrator/files.ts';
import { status } from '../../database/migrator/migrate.ts';
import type { Target } from '../../database/target.ts';
import { newestRelease } from '../release/releases.ts';

const facts = z.strictObject({
  format: z.literal(1),
  environment: z.string().min(1),
  /** When it was read. */
  at: z.iso.datetime(),
  /** The newest record of `llama-db release`; null without one. */
  release: z
    .strictObject({
      releaseDigest: z.string(),
      artifactDigest: z.string(),
      commit: z.string(),
      outcome: z.enum(['verified', 'findings', 'not verified']),
      verifiedAt: z.iso.datetime(),
      skippedGroups: z.array(z.string()),
      failed: z.array(z.string()),
    })
    .nullable(),
  /** Applied migrations by version, with name and checksum. */
  ledger: z.array(z.strictObject({ version: z.string(), name: z.string(), checksum: z.string() })),
  /** Findings about the audit trail, one line each. */
  trail: z.array(z.string()),
});

export type EnvironmentFacts = z.infer<typeof facts>;

/** @throws Fault (exit 2) if the database or its trail cannot be read */
export async function readFacts(
  target: Target,
  options: {
    readonly environment: string;
    readonly reporter: Reporter;
    readonly migrationsDirectory: string;
  },
): Promise<EnvironmentFacts> {
  const { environment, reporter, migrationsDirectory } = options;
  const connect = { reporter, applicationName: 'llama-db promote' } as const;
  const { release, ledger } = await withConnection(target, connect, async (connection) => ({
    release: await newestRelease(connection),
    ledger: await status(connection, migrationsDirectory),
  }));
  const trail = await verifyTrail(target, { reporter, expected: keptHeads(process.env) });
  return {
    ...{ format: 1, environment, at: new Date().toISOString() },
    release: release
      ? {
          releaseDigest: release.releaseDigest,
          artifactDigest: release.artifactDigest,
          commit: release.commit,
          outcome: release.outcome,
          verifiedAt: release.releasedAt.toISOString(),
          skippedGroups: [...release.verification.skippedGroups],
          failed: [...release.verification.failed],
        }
      : null,
    ledger: ledger.migrations.flatMap(({ version, name, applied }) =>
      applied ? [{ version, name, checksum: applied.checksum }] : [],
    ),
    trail: trail.findings.map(({ kind, detail }) => `${kind}: ${detail}`),
  };
}

/** @throws Fault `promote/facts-unreadable` (exit 2) */
export function factsIn(file: string, environment: string): EnvironmentFacts {
  try {
    const found = facts.parse(JSON.parse(readFileSync(file, 'utf8')));
    if (found.environment === environment) return found;
    throw new Error(`it describes ${found.environment}`);
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    throw new Fault(
      'promote/facts-unreadable',
      `Facts ${file} of ${environment}`,
      issue ? `${issue.path.join('.') || 'the document'}: ${issue.message}` : messageOf(error),
      `Write them with llama-db release inspect ${environment} --out ${file}.`,
      { exitCode: 2 },
    );
  }
}

/** How a ledger differs from the migrations of a checkout, one line per migration. */
export interface LedgerDifference {
  readonly pending: readonly string[];
  readonly edited: readonly string[];
  /** Applied migrations that the checkout does not have. */
  readonly unknown: readonly string[];
}

export function compareLedger(
  ledger: EnvironmentFacts['ledger'],
  migrationsDirectory: string,
): LedgerDifference {
  const files = listMigrations(migrationsDirectory);
  const applied = new Map(ledger.map((one) => [one.name, one]));
  return {
    pending: files.flatMap(({ name }) => (applied.has(name) ? [] : [name])),
    edited: files.flatMap(({ name, checksum }) => {
      const entry = applied.get(name);
      return entry && entry.checksum !== checksum ? [name] : [];
    }),
    unknown: ledger.flatMap(({ name }) => (files.some((file) => file.name === name) ? [] : [name])),
  };
}
