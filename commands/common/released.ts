/** An environment as it is now: its facts for promotion, and what differs from its release. */
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import type { Target } from '../../database/target.ts';
import { type DriftReport, driftGroups, driftOf } from '../../pipeline/drift/drift.ts';
import { type EnvironmentFacts, readFacts } from '../../pipeline/promotion/facts.ts';
import { withMigrationsOf } from '../../pipeline/release/released-migrations.ts';
import { verify } from '../../verification/verify.ts';
import { targetOf } from './target.ts';

const project = fileURLToPath(new URL('../..', import.meta.url));

/** A plan of the environment and the stack that it is of. */
export interface Compared {
  readonly plan: string;
  readonly stack: string;
  /** @default 'plan' */
  readonly kind?: 'plan' | 'refresh';
}

/**
 * Reads an environment. With a plan it also compares Azure with the state, and the database with the migrations of its release.
 *
 * @throws Fault if the database cannot be read
 */
export async function readAt(
  environment: string,
  reporter: Reporter,
  compared?: Compared,
): Promise<{ readonly facts: EnvironmentFacts; readonly drift: DriftReport }> {
  const target = await targetOf(environment, {});
  const facts = await readFacts(target, { environment, reporter, migrationsDirectory });
  return {
    facts,
    drift: compared ? await compare(target, facts, reporter, compared) : driftOf({ environment }),
  };
}

/** Compares with the migrations of the release; of a database without one, with those of this checkout. */
async function compare(
  target: Target,
  { environment, release }: EnvironmentFacts,
  reporter: Reporter,
  compared: Compared,
): Promise<DriftReport> {
  const check = (directory: string) =>
    verify(target, { reporter, migrationsDirectory: directory, groups: driftGroups });
  try {
    const report = release
      ? await withMigrationsOf(project, release.commit, check)
      : await check(migrationsDirectory);
    return driftOf({ environment, report, ...compared });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return driftOf({ environment, unread: [`the database: ${error.message} [${error.code}]`], ...compared });
  }
}
