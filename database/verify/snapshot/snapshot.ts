import type { ClientBase, QueryResultRow } from 'pg';
import { readOnly } from '../transaction.ts';
import type * as facts from './facts.ts';
import * as queries from './queries.ts';

export type { Snapshot } from './facts.ts';

/**
 * Reads the catalogs once, in one read-only transaction, so that every check judges the same moment.
 *
 * Works with the rights of a member of azure_pg_admin (pg_monitor, pg_read_all_settings); what the login may
 * not see is marked as such, so that checks can say so.
 */
export async function takeSnapshot(client: ClientBase): Promise<facts.Snapshot> {
  return readOnly(client, async () => {
    const rows = async <Row>(sql: string): Promise<Row[]> =>
      (await client.query<Row & QueryResultRow>(sql)).rows;
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
      defaultPrivileges: await rows(queries.defaultPrivileges),
      publications: await rows(queries.publications),
      activity: {
        sessions: await rows(queries.sessions),
        complete: monitor?.complete ?? false,
        prepared: await rows(queries.prepared),
        sequences: await rows(queries.sequences),
      },
      replication: { standbys: await rows(queries.standbys), slots: await rows(queries.slots) },
    };
  });
}
