import type pg from 'pg';
import { readLedger, readRunnerNames } from '../../database/migrator/ledger.ts';
import { attempt, readOnly } from '../../database/transaction.ts';
import type * as facts from './facts.ts';
import * as queries from './queries.ts';
import { readSealing } from './sealing.ts';

export type { Snapshot } from './facts.ts';

/** Gives a connection of the same login to another database of the server, and closes it afterwards. */
export type OpenDatabase = <Result>(
  database: string,
  work: (client: pg.Client) => Promise<Result>,
) => Promise<Result>;

/**
 * Reads the catalogs once, in one read-only transaction, so that every check judges the same moment.
 *
 * Works with the rights of a member of azure_pg_admin (pg_monitor, pg_read_all_data) that may act as
 * llama_owner; what the login may not see is marked as such, so that checks can say so.
 */
export async function takeSnapshot(
  client: pg.Client,
  schedulerDatabase?: OpenDatabase,
): Promise<facts.Snapshot> {
  return readOnly(client, async () => {
    const rows = async <Row>(sql: string): Promise<Row[]> =>
      (await client.query<Row & pg.QueryResultRow>(sql)).rows;
    const [server] = await rows<facts.ServerFacts>(queries.server);
    if (!server) throw new Error('pg_database has no row of the current database');
    const settings = await rows<facts.Setting & { name: string }>(queries.settings);
    const [monitor] = await rows<{ complete: boolean }>(queries.mayMonitor);
    return {
      server,
      settings: new Map(settings.map((setting) => [setting.name, setting])),
      roles: await rows(queries.roles),
      memberships: await rows(queries.memberships),
      roleSettings: await rows(queries.roleSettings),
      schemas: await rows(queries.schemas),
      relations: await rows(queries.relations),
      columns: await rows(queries.columns),
      columnGrants: await rows(queries.columnGrants),
      constraints: await rows(queries.constraints),
      policies: await rows(queries.policies),
      indexes: await rows(queries.indexes),
      triggers: await rows(queries.triggers),
      functions: await rows(queries.functions),
      extensions: await rows(queries.extensions),
      availableExtensions: (await rows<{ name: string }>(queries.availableExtensions)).map(
        ({ name }) => name,
      ),
      defaultPrivileges: await rows(queries.defaultPrivileges),
      publications: await rows(queries.publications),
      parameterGrants: await rows(queries.parameterGrants),
      activity: {
        sessions: await rows(queries.sessions),
        complete: monitor?.complete ?? false,
        prepared: await rows(queries.prepared),
        sequences: await rows(queries.sequences),
        tables: await rows(queries.tableRows),
        indexUse: await rows(queries.indexUse),
        statisticsDays: (await rows<{ days: number }>(queries.statisticsAge))[0]?.days ?? 0,
      },
      replication: { standbys: await rows(queries.standbys), slots: await rows(queries.slots) },
      registry: await asOwner(client, () => rows(queries.registry)),
      ledger: await asOwner(client, () => readLedger({ client })),
      runnerNames: await asOwner(client, () => readRunnerNames({ client })),
      scheduledJobs: await asOwner(client, () => rows(queries.scheduledJobs)),
      sealing: await readSealing(client),
      cron: await scheduler(client, schedulerDatabase),
    };
  });
}

/**
 * Tables that only their owner sees: reading everything, which azure_pg_admin may, is not passing row-level
 * security by.
 */
async function asOwner<Row>(
  client: pg.Client,
  read: () => Promise<readonly Row[]>,
): Promise<facts.OwnersRows<Row>> {
  const result = await attempt(client, async () => {
    await client.query('SET LOCAL ROLE llama_owner');
    const rows = await read();
    await client.query('RESET ROLE');
    return rows;
  });
  return 'value' in result ? { rows: result.value } : { unreadable: result.refused.message };
}

/** pg_cron keeps the jobs of every database in one, which `cron.database_name` names. */
async function scheduler(client: pg.Client, open: OpenDatabase | undefined): Promise<facts.Snapshot['cron']> {
  // The view leaves out what the login may not see; current_setting would refuse.
  const { rows } = await client.query<{
    home: string | null;
    loaded: boolean;
    here: string;
    created: boolean;
  }>(
    `SELECT (SELECT setting FROM pg_settings WHERE name = 'cron.database_name') AS home,
            EXISTS (SELECT FROM pg_settings WHERE name = 'shared_preload_libraries' AND setting ~ '\\mpg_cron\\M') AS loaded,
            current_database() AS here, EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') AS created`,
  );
  const { here, ...found } = rows[0] ?? { home: null, loaded: false, here: '', created: false };
  const home = found.home ?? (found.created ? here : found.loaded ? 'postgres' : undefined);
  if (!home) return { unreadable: 'pg_cron is not on this server; llama-db maintain does its work' };
  const read = async (within: pg.Client): Promise<facts.Cron> => ({
    jobs: (await within.query<facts.Cron['jobs'][number]>(queries.cronJobs)).rows,
    runs: (await within.query<facts.Cron['runs'][number]>(queries.cronRuns)).rows,
    oldestRun: (await within.query<{ oldestRun: Date | null }>(queries.oldestRun)).rows[0]?.oldestRun ?? null,
  });
  if (home !== here) {
    if (!open)
      return { unreadable: `the jobs lie in database ${home}, to which there is no connection here` };
    return open(home, read).catch((error: Error) => ({ unreadable: `${home}: ${error.message}` }));
  }
  const result = await attempt(client, () => read(client));
  return 'value' in result ? result.value : { unreadable: result.refused.message };
}
