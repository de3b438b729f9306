import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { whyNoSmallDisk } from '../../../local/postgres/disk.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';

async function ask<Row>(server: LocalPostgres, sql: string): Promise<Row[]> {
  const client = new pg.Client(server.connection('superuser'));
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('a standby', () => {
  it('is in recovery, refuses to write, and follows its primary', async () => {
    const host = 'llama-mapper-replica.postgres.database.azure.com';
    const primary = await startPostgres({ databases: ['llama'], settings: { work_mem: '7MB' } });
    const standby = await primary.standby({ hostNames: [host] });
    try {
      await ask(primary, 'CREATE TABLE public.followed AS SELECT 42 AS n');
      await expect
        .poll(() => ask(standby, 'SELECT n FROM public.followed').catch(() => []), { timeout: 10_000 })
        .toEqual([{ n: 42 }]);
      expect(await ask(standby, 'SELECT pg_is_in_recovery() AS recovering')).toEqual([{ recovering: true }]);
      expect(await ask(standby, 'SHOW work_mem')).toEqual([{ work_mem: '7MB' }]);
      await expect(ask(standby, 'CREATE TABLE public.t ()')).rejects.toMatchObject({ code: '25006' });
      const client = new pg.Client(standby.connection('migrator', { host }));
      await client.connect();
      await client.end();
    } finally {
      await standby.stop();
      await primary.stop();
    }
  });
});

describe('a small disk', () => {
  it('gives the errors of a full disk, and works again with free space', async (context) => {
    const reason = whyNoSmallDisk();
    if (reason) context.skip(reason);
    const server = await startPostgres({ databases: ['llama'], diskSize: 120 });
    try {
      const { disk } = server;
      if (!disk) return expect.fail('there is a disk');
      await ask(server, 'CREATE TABLE public.grown (filling text)');
      await ask(server, 'ALTER TABLE public.grown ALTER filling SET STORAGE PLAIN');
      disk.fill(1024 * 1024);
      expect(disk.free()).toBeLessThanOrEqual(1024 * 1024);
      const grow = "INSERT INTO public.grown SELECT repeat('x', 7000) FROM generate_series(1, 1000)";
      await expect(ask(server, grow)).rejects.toMatchObject({
        code: '53100',
        message: expect.stringMatching(/No space left on device/),
      });
      disk.empty();
      await ask(server, grow);
      expect(await ask(server, 'SELECT count(*)::int FROM public.grown')).toEqual([{ count: 1000 }]);
    } finally {
      await server.stop();
    }
  });
});

describe("a deployment's parameters", () => {
  it('are applied if the server has them, and listed otherwise', async () => {
    const server = await startPostgres({
      parameters: {
        work_mem: '16384',
        log_statement: 'ddl',
        shared_buffers: '4194304',
        require_secure_transport: 'on',
        'pg_qs.query_capture_mode': 'top',
        shared_preload_libraries: 'pg_stat_statements,pg_cron,pgaudit',
      },
    });
    try {
      const shown = await ask(
        server,
        `SELECT current_setting('work_mem') AS work_mem, current_setting('log_statement') AS log_statement,
                current_setting('pg_qs.query_capture_mode') AS query_store,
                current_setting('shared_preload_libraries') AS libraries`,
      );
      expect(shown).toEqual([
        { work_mem: '16MB', log_statement: 'ddl', query_store: 'top', libraries: 'pg_stat_statements' },
      ]);
      expect(server.leftOut).toEqual([
        'shared_buffers',
        'require_secure_transport',
        'shared_preload_libraries: pg_cron',
        'shared_preload_libraries: pgaudit',
      ]);
    } finally {
      await server.stop();
    }
  });
});
