import type pg from 'pg';
import { readOnly } from '../../database/transaction.ts';
import { activityFacts } from './activity.ts';
import { functionFacts } from './functions.ts';
import { maintenanceFacts } from './maintenance.ts';
import { relationFacts } from './relations.ts';
import { roleFacts } from './roles.ts';
import { sealingFacts } from './sealing.ts';
import { serverFacts } from './server.ts';
import { type FactsOf, nested, type OpenDatabase } from './source.ts';

export type { Session } from './activity.ts';
export type { Routine } from './functions.ts';
export type { Grant } from './grants.ts';
export type { Cron, RegisteredTable, ScheduledJob } from './maintenance.ts';
export type { Column, Index, Policy, Relation, Trigger } from './relations.ts';
export type { Sealing } from './sealing.ts';
export type { Setting } from './server.ts';

const sources = {
  ...serverFacts,
  ...roleFacts,
  ...relationFacts,
  ...functionFacts,
  ...activityFacts,
  ...maintenanceFacts,
  ...sealingFacts,
};

/** Facts of one moment. Plain data, so that checks are functions of it and a test can change it. */
export type Snapshot = FactsOf<typeof sources>;

/**
 * Reads all facts in one read-only transaction, so that every check sees the same moment.
 *
 * The login must be a member of azure_pg_admin (pg_monitor, pg_read_all_data) that may act as llama_owner. Facts that the
 * login may not read are marked, so that checks can skip.
 *
 * @throws the driver's error if a catalog cannot be read
 */
export async function takeSnapshot(client: pg.Client, openDatabase?: OpenDatabase): Promise<Snapshot> {
  return readOnly(client, () => nested(sources)({ client, openDatabase }));
}
