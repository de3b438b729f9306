/** Verifies an environment after a release, and records both in the database. */
import type { Reporter } from '../../core/report.ts';
import { keptHeads } from '../../database/audit/heads.ts';
import { logHead } from '../../database/audit/logged-heads.ts';
import { headOfDeployment } from '../../database/audit/seals.ts';
import type { AzureAccess } from '../../database/azure-access.ts';
import { withConnection } from '../../database/connection.ts';
import type { Target } from '../../database/target.ts';
import { groups, type Report } from '../../verification/check.ts';
import { failing } from '../../verification/run.ts';
import { unreadReasons } from '../../verification/verdict.ts';
import { verify } from '../../verification/verify.ts';
import {
  digestOfSettings,
  type Release,
  type ReleaseIdentity,
  recordRelease,
  type Verification,
} from './releases.ts';

export interface RecordOptions {
  readonly reporter: Reporter;
  readonly migrationsDirectory: string;
  /** @default - the identity that is signed in on this machine */
  readonly azureAccess?: AzureAccess;
}

/** A release as it is recorded, also as a file. */
export interface ReleaseRecord extends Release, Omit<ReleaseIdentity, 'startedAt'> {
  /** When the record was written, ISO 8601. */
  readonly at: string;
  readonly startedAt: string;
  /** Object id of the Entra identity, or the login. */
  readonly executor: string;
}

/**
 * Runs every check, and inserts the record.
 *
 * @throws Fault if the database cannot be read or written
 */
export async function verifyAndRecord(
  target: Target,
  release: Pick<Release, 'environment' | 'migrationsDigest'> & Omit<ReleaseIdentity, 'verification'>,
  options: RecordOptions,
): Promise<ReleaseRecord> {
  const { reporter } = options;
  const report = await verify(target, { ...options, keptHeads: keptHeads(process.env) });
  const verification = byGroups(report);
  const unread = unreadReasons(report);
  for (const reason of unread) reporter.warn(reason);
  const { environment, migrationsDigest, ...identity } = release;
  const connect = { reporter, applicationName: 'llama-db release' } as const;
  return withConnection(target, connect, async (connection) => {
    const auditHead = await headOfDeployment(connection);
    const record: Release = {
      environment,
      migrationsDigest,
      settingsDigest: digestOfSettings(target.deployment ?? {}),
      outcome: outcomeOf(report, unread),
      counts: report.counts,
      auditHead,
    };
    await recordRelease(connection, record, { ...identity, verification });
    if (auditHead) await logHead(connection, auditHead);
    const { passed, failed, skipped } = report.counts;
    reporter.line(`Recorded: ${record.outcome} (${passed} passed, ${failed} failed, ${skipped} skipped)`);
    return {
      at: new Date().toISOString(),
      ...record,
      ...identity,
      startedAt: identity.startedAt.toISOString(),
      verification,
      executor: connection.credential.executor,
    };
  });
}

function outcomeOf(report: Report, unread: readonly string[]): Release['outcome'] {
  if (failing(report, 'high').length > 0) return 'findings';
  return report.counts.passed > 0 && unread.length === 0 ? 'verified' : 'not verified';
}

/** A group counts as skipped unless one of its checks inspected something, and none of them could not read its facts. */
export function byGroups(report: Report): Verification {
  const skippedGroups = groups.filter((group) => {
    const outcomes = report.checks.filter(({ check }) => check.group === group).map(({ outcome }) => outcome);
    const blind = outcomes.some((one) => one.status === 'skipped' && (one.blind || one.defective));
    return blind || !outcomes.some(({ status }) => status !== 'skipped');
  });
  return { skippedGroups, failed: failing(report, 'high').map(({ check }) => check.id) };
}
