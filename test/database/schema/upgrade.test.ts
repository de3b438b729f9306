// Duration: 90 s
import { afterAll, expect, it } from 'vitest';
import { urlOf } from '../../../local/postgres/address.ts';
import { binariesOf } from '../../../local/postgres/installation.ts';
import type { LocalPostgres } from '../../../local/postgres/local-postgres.ts';
import { startPostgres } from '../../../local/postgres/server.ts';
import { run } from '../../commands/run.ts';
import { ask, documented, failedChecks, headOf, sealed, writeRecord } from '../../support/application.ts';
import { whyNoTools } from '../../support/postgres-tools.ts';
import { upgraded } from '../../support/upgrade.ts';

/** The statement of docs/restoring.md. */
const updateExtensions = documented('update extensions');

const missing = whyNoTools();
const servers: LocalPostgres[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

it.skipIf(missing)(
  `pg_upgrade from 16 to 17 to 18 leaves no drift, an intact trail and a writing application${missing ? ` (${missing})` : ''}`,
  async () => {
    const first = await startPostgres({ binaries: await binariesOf(16), databases: ['llama_mapper'] });
    servers.push(first);
    const { passwords } = first;
    const urlAt = (server: LocalPostgres) => urlOf({ ...address(server), passwords }, 'migrator');
    const address = ({ port, caFile, hostNames, administrator, database }: LocalPostgres) => ({
      ...{ port, caFile, hostNames, administrator, database },
    });
    expect((await run(['migrate', '--url', urlAt(first)])).code).toBe(0);
    await ask(urlAt(first), writeRecord('acme'));
    await sealed(urlAt(first));
    expect(await failedChecks(urlAt(first))).toEqual([]);

    let [server, head] = [first, await headOf(urlAt(first))];
    for (const [before, after] of [
      [16, 17],
      [17, 18],
    ] as const) {
      await server.halt();
      server = await upgraded(server, before, after);
      servers.push(server);
      const url = urlAt(server);
      expect((await run(['migrate', '--url', url])).stdout).toMatch(/Nothing to migrate/);
      expect((await run(['repair', '--dry-run', '--url', url])).stdout).toMatch(
        /are as the migrations make them/,
      );
      await run(['maintain', '--url', url]);
      // Each major brings newer extensions; docs/restoring.md has the statement.
      expect(await failedChecks(url)).toEqual(['EXT-003']);
      // pg_upgrade gives extensions to the superuser. Azure lets its administrators update them all the same.
      await ask(urlOf({ ...address(server), passwords }, 'superuser'), updateExtensions);
      expect(await failedChecks(url)).toEqual([]);
      await ask(url, writeRecord('acme'));
      await sealed(url);
      const trail = await run(['audit', 'verify', '--url', url, '--expect', head]);
      expect([trail.code, trail.stdout]).toEqual([0, expect.stringMatching(/intact/i)]);
      head = await headOf(url);
    }
  },
  300_000,
);
