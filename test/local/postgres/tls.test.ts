import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';

const host = 'llama-mapper-staging.postgres.database.azure.com';

async function ask<Row>(config: pg.ClientConfig, sql: string): Promise<Row> {
  const client = new pg.Client(config);
  await client.connect();
  try {
    return (await client.query(sql)).rows[0];
  } finally {
    await client.end();
  }
}

describe('TLS', () => {
  let server: LocalPostgres;
  beforeAll(async () => {
    server = await startPostgres({ hostNames: [host], databases: ['llama_mapper'] });
  });
  afterAll(() => server.stop());

  it('is TLS 1.3 and verifies the Azure name against the authority', async () => {
    const answer = await ask(
      server.connection('migrator', { host }),
      'SELECT ssl, version, current_database() AS db FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    expect(answer).toEqual({ ssl: true, version: 'TLSv1.3', db: 'llama_mapper' });
  });

  it('works with the printed URL', async () => {
    const answer = await ask({ connectionString: server.url('superuser') }, 'SELECT current_user AS me');
    expect(answer).toEqual({ me: 'azuresu' });
  });

  it('prints URLs for an Azure name that libpq and the commands understand', () => {
    const url = new URL(server.url({ user: 'a b', password: 'p:/@%' }, { host, database: 'x y' }));
    expect(decodeURIComponent(url.username)).toBe('a b');
    expect(decodeURIComponent(url.password)).toBe('p:/@%');
    expect(url.hostname).toBe(host);
    expect(decodeURIComponent(url.pathname)).toBe('/x y');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      sslmode: 'verify-full',
      sslrootcert: server.caFile,
      hostaddr: '127.0.0.1',
    });
  });

  it('refuses a connection without TLS', async () => {
    await expect(ask({ ...server.connection('migrator'), ssl: false }, 'SELECT 1')).rejects.toThrow(
      /no pg_hba\.conf entry .* no encryption/,
    );
  });

  it('refuses TLS 1.2', async () => {
    const config = server.connection('migrator');
    const ssl = { ...(config.ssl as object), maxVersion: 'TLSv1.2' as const };
    await expect(ask({ ...config, ssl }, 'SELECT 1')).rejects.toThrow(/protocol version|alert/);
  });

  it('is not trusted without its authority', async () => {
    await expect(ask({ ...server.connection('migrator'), ssl: true }, 'SELECT 1')).rejects.toThrow(
      /unable to verify|self.signed/,
    );
  });

  it('is refused for another host', async () => {
    await expect(
      ask(server.connection('migrator', { host: 'other.postgres.database.azure.com' }), 'SELECT 1'),
    ).rejects.toThrow(/altnames/);
  });

  it('refuses a wrong password', async () => {
    const wrong = { user: server.administrator, password: 'wrong' };
    await expect(ask(server.connection(wrong), 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  });
});

it('can have an expired certificate', async () => {
  const server = await startPostgres({ certificate: { expired: true } });
  try {
    await expect(ask(server.connection('migrator'), 'SELECT 1')).rejects.toThrow(/certificate has expired/);
  } finally {
    await server.stop();
  }
});

it('can have a certificate for another host', async () => {
  const server = await startPostgres({ hostNames: [host], certificate: { hostNames: ['other.example'] } });
  try {
    await expect(ask(server.connection('migrator', { host }), 'SELECT 1')).rejects.toThrow(/altnames/);
  } finally {
    await server.stop();
  }
});
