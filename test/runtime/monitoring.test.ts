// Duration: 15 s
/** Metrics of a real server, of this process, and of Azure's protocol. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metrics as azureFacts, metricNamespace } from '../../azure/metrics.ts';
import { serverAlertRules } from '../../constructs/alert-rules.ts';
import { issueCertificate } from '../../local/postgres/certificates.ts';
import { Database } from '../../runtime/index.ts';
import {
  AzureMonitor,
  azureAlerts,
  azureConnectionInfo,
  azureMetricNamespace,
  azureMetrics,
  type Collector,
  databaseCollectors,
  families,
  processCollector,
  scrape,
  slowQueries,
} from '../../runtime/monitoring/index.ts';
import { start } from '../commands/run.ts';
import { randomName } from '../support/postgres.ts';
import { type ApplicationDatabase, applicationDatabase, until } from './fixture.ts';
import { type ReplicatedServers, replicatedServers } from './servers.ts';

let testbed: ApplicationDatabase;
let monitor: pg.Client;
let application: pg.Client;
const login = { user: randomName('monitor'), password: randomBytes(9).toString('hex') };

beforeAll(async () => {
  testbed = await applicationDatabase();
  await testbed.query(
    'superuser',
    `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}'; GRANT pg_monitor TO ${login.user};
     GRANT USAGE ON SCHEMA extensions TO ${login.user}`,
  );
  monitor = await testbed.connect(login);
  application = await testbed.connect(testbed.login);
});

afterAll(async () => {
  await testbed.query('superuser', `DROP OWNED BY ${login.user}`);
  await testbed.drop();
});

/** The samples of a text of Prometheus: `name{labels}` and value. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('metrics of the database', () => {
  it('are complete for a login with pg_monitor', async () => {
    await application.query('SELECT pg_sleep(0.15)');
    await testbed.query(
      'superuser',
      'SELECT FROM llama.partitioned_tables; SELECT pg_stat_force_next_flush()',
    );
    const problems: unknown[] = [];
    const { text, contentType } = await scrape(databaseCollectors(monitor), {
      onProblem: (problem) => problems.push(problem),
    });
    expect(problems).toEqual([]);
    expect(contentType).toContain('text/plain');
    const samples = samplesOf(text);
    const sampleOf = (name: string) => samples.get(name) ?? Number.NaN;
    expect(sampleOf('llama_postgres_database_size_bytes')).toBeGreaterThan(5_000_000);
    expect(sampleOf('llama_postgres_connections_max')).toBeGreaterThan(10);
    expect(sampleOf('llama_postgres_connections{state="active"}')).toBeGreaterThanOrEqual(1);
    expect(sampleOf('llama_postgres_heap_blocks_hit_total')).toBeGreaterThan(0);
    expect(sampleOf('llama_postgres_in_recovery')).toBe(0);
    expect(sampleOf('llama_collector_up{collector="slow_queries"}')).toBe(1);
    expect(text).toMatch(/^llama_postgres_slow_query_mean_seconds\{queryid="-?\d+"\} 0\.\d+$/m);
    expect(text).toMatch(/^llama_postgres_waiting_sessions\{type="Activity",event="\w+"\} \d+$/m);
    expect(text).toMatch(/^# TYPE llama_postgres_heap_blocks_hit_total counter$/m);
    expect(text).not.toContain('pg_sleep');
  });

  it('lose only what the login may not see, which does not pass as zero', async () => {
    const problems: string[] = [];
    const { text } = await scrape(databaseCollectors(application), {
      onProblem: ({ collector, error }) =>
        problems.push(`${collector} ${Reflect.get(Object(error), 'code')}`),
    });
    expect(problems.sort()).toEqual(
      ['replication', 'sessions', 'slow_queries', 'transactions', 'waits'].map(
        (name) => `${name} monitoring/not-permitted`,
      ),
    );
    const samples = samplesOf(text);
    expect(samples.get('llama_collector_up{collector="sessions"}')).toBe(0);
    expect(samples.get('llama_collector_up{collector="size"}')).toBe(1);
    expect(samples.get('llama_postgres_database_size_bytes')).toBeGreaterThan(0);
    expect(text).not.toContain('llama_postgres_connections{');
  });

  it('lose only the collector that does not answer in time', async () => {
    const silent: Collector = { name: 'silent', collect: () => new Promise(() => {}) };
    const { text } = await scrape([silent, ...databaseCollectors(monitor)], { timeoutMs: 1500 });
    const samples = samplesOf(text);
    expect(samples.get('llama_collector_up{collector="silent"}')).toBe(0);
    expect(samples.get('llama_collector_up{collector="size"}')).toBe(1);
  });

  it('include the text of slow statements for a program, not for Prometheus', async () => {
    const found = await slowQueries(monitor);
    expect(found.find(({ query }) => query.includes('pg_sleep'))).toMatchObject({
      calls: expect.any(Number),
      meanMs: expect.any(Number),
    });
    expect(found.every(({ meanMs }) => meanMs > 100)).toBe(true);
  });

  it('describe the server', async () => {
    const other = { query: async () => ({ rows: [{ extensions: null }] }) };
    expect(await azureConnectionInfo(other)).toMatchObject({ azureExtensions: undefined });
    expect(await azureConnectionInfo(application)).toEqual({
      postgresVersion: expect.stringMatching(/^PostgreSQL \d+/),
      serverVersion: expect.stringMatching(/^\d+/),
      azureExtensions: expect.arrayContaining(['pgcrypto', 'pg_stat_statements']),
      databaseSize: expect.stringMatching(/^\d+ (kB|MB)$/),
    });
  });
});

describe('metrics of replicas and pools', () => {
  let servers: ReplicatedServers;
  let db: Database;

  beforeAll(async () => {
    servers = await replicatedServers();
    const replica = { ...servers.options(servers.standby.port), name: 'near' };
    db = new Database({ ...servers.options(servers.primary.port), replicas: [replica] });
    await db.ready();
  });
  afterAll(async () => {
    await db?.close();
    await servers?.stop();
  });

  it('show the lag on the primary, the age on the replica, and the pools of the process', async () => {
    const clients = [servers.primary, servers.standby].map(
      (server) => new pg.Client(server.connection('superuser', { database: 'llama' })),
    );
    for (const client of clients) await client.connect();
    await clients[0]?.query('CREATE TABLE written AS SELECT 1; SELECT txid_current()');
    await until(async () => {
      const { rows } = (await clients[1]?.query('SELECT pg_last_xact_replay_timestamp() AS at')) ?? {
        rows: [],
      };
      return rows[0]?.at !== null;
    });
    await db.tenant('a').read(async (tx) => tx.query('SELECT 1'));
    await until(() => db.gauges['default']?.replicas[0]?.state === 'following');
    const [primary = '', standby = '', process = ''] = await Promise.all([
      ...clients.map(async (client) => (await scrape(databaseCollectors(client))).text),
      scrape([processCollector(db)]).then(({ text }) => text),
    ]);
    for (const client of clients) await client.end();
    expect(primary).toMatch(/^llama_postgres_replication_lag_bytes\{replica=".+"\} \d+$/m);
    expect(primary).toMatch(/^llama_postgres_replication_lag_seconds\{replica=".+"\} [\d.]+$/m);
    expect(primary).toMatch(/^llama_postgres_in_recovery 0$/m);
    expect(standby).toMatch(/^llama_postgres_in_recovery 1$/m);
    expect(standby).toMatch(/^llama_postgres_replay_age_seconds [\d.]+$/m);
    expect(process).toMatch(/^llama_pool_connections\{cell="default",target="writer",state="idle"\} [12]$/m);
    expect(process).toMatch(/^llama_pool_waiting\{cell="default",target="near"\} 0$/m);
    expect(process).toMatch(/^llama_breaker_state\{cell="default",target="writer",state="closed"\} 1$/m);
    expect(process).toMatch(/^llama_replica_following\{cell="default",target="near"\} 1$/m);
    expect(process).toMatch(/^llama_replica_lag_seconds\{cell="default",target="near"\} [\d.e-]+$/m);
  });
});

describe('metrics of Azure', () => {
  const resourceId =
    '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-production';
  /** Speaks the protocol of the batch API of Azure Monitor, API version 2024-02-01. */
  let azure: Server;
  let authority = '';
  const requests: URL[] = [];
  const values: Record<string, readonly (number | undefined)[]> = {
    cpu_percent: [70, 95, 99, undefined],
    memory_percent: [85, 85],
    storage_percent: [91],
    storage_used: [5e9],
    disk_iops_consumed_percentage: [],
    active_connections: [12],
    connections_failed: [6, 5, 0],
    network_bytes_ingress: [1000],
  };

  beforeAll(async () => {
    const issued = await issueCertificate(['localhost']);
    authority = issued.authority;
    azure = createServer({ cert: issued.certificate, key: issued.privateKey }, (request, response) => {
      const url = new URL(request.url ?? '', 'http://azure');
      requests.push(url);
      request.resume();
      const metric = url.searchParams.get('metricnames') ?? '';
      const series = values[metric];
      const answer = (status: number, body: object) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      if (!series) {
        answer(403, { error: { code: 'AuthorizationFailed', message: 'no action metrics/read' } });
        return;
      }
      const aggregation = url.searchParams.get('aggregation') ?? '';
      const data = series.map((value, minute) => ({
        timeStamp: `2026-01-01T00:0${minute}:00Z`,
        ...(value === undefined ? {} : { [aggregation]: value }),
      }));
      answer(200, {
        values: [
          {
            starttime: '2026-01-01T00:00:00Z',
            endtime: '2026-01-01T00:15:00Z',
            resourceid: resourceId,
            value: [
              {
                id: 'i',
                type: 't',
                name: { value: metric },
                errorCode: 'Success',
                unit: 'Count',
                timeseries: [{ data }],
              },
            ],
          },
        ],
      });
    });
    await new Promise<void>((resolve) => azure.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => azure.close());

  const monitorOf = (more: object = {}) =>
    new AzureMonitor({
      resourceId,
      region: 'westeurope',
      credential: { getToken: async () => ({ token: 'token', expiresOnTimestamp: Date.now() + 3_600_000 }) },
      endpoint: `https://localhost:${(azure.address() as AddressInfo).port}`,
      client: { tlsOptions: { ca: authority }, retryOptions: { maxRetries: 0 } },
      ...more,
    });

  it('are the newest values, with the state of the alerts, and a refused one costs itself', async () => {
    const problems: string[] = [];
    const { text } = await scrape(monitorOf().collectors, {
      onProblem: ({ collector, error }) =>
        problems.push(`${collector} ${Reflect.get(Object(error), 'code')}`),
    });
    const server = 'server="llama-production"';
    const samples = samplesOf(text);
    expect(problems).toEqual(['azure_network_bytes_egress monitoring/azure-refused']);
    expect(samples.get(`llama_azure_cpu_percent{${server}}`)).toBe(99);
    expect(samples.get(`llama_azure_storage_used{${server}}`)).toBe(5e9);
    expect(samples.get(`llama_azure_connections_failed{${server}}`)).toBe(0);
    expect(text).not.toContain('llama_azure_disk_iops_consumed_percentage{');
    expect(samples.get('llama_collector_up{collector="azure_disk_iops_consumed_percentage"}')).toBe(1);
    const alerts = Object.keys(azureAlerts).map((alert) => [
      alert,
      samples.get(`llama_azure_alert_firing{${server},alert="${alert}"}`),
    ]);
    expect(Object.fromEntries(alerts)).toEqual({
      'cpu-high': 1,
      'memory-high': 0,
      'storage-critical': 1,
      'connections-failed': 1,
    });
    expect(
      requests.every(({ searchParams }) => searchParams.get('metricnamespace') === metricNamespace),
    ).toBe(true);
  });

  it('are metrics and aggregations that Azure has', () => {
    expect(azureMetricNamespace).toBe(metricNamespace);
    expect(Object.keys(azureMetrics)).toHaveLength(9);
    for (const [name, aggregation] of Object.entries(azureMetrics)) {
      const fact = azureFacts[name as keyof typeof azureFacts];
      expect(fact.aggregations.map((one) => one.toLowerCase())).toContain(aggregation);
    }
  });

  it('have the conditions of the alerts that are deployed', () => {
    const rules = serverAlertRules({
      ...{ role: 'primary', replicated: false, burstable: false, databaseActivity: false },
      ...{ maxConnections: 100, reservedConnections: 15 },
    });
    for (const [id, alert] of Object.entries(azureAlerts)) {
      const rule = rules.find((one) => one.id === id);
      expect(rule).toMatchObject({ ...alert, operator: 'GreaterThan', window: 'PT15M' });
      expect(rule?.aggregation.toLowerCase()).toBe(azureMetrics[alert.metric]);
    }
  });

  it.each([
    [{ resourceId: 'production' }],
    [{ resourceId: `${resourceId}/databases/llama` }],
    [{ region: 'West Europe' }],
  ])('need a server: %j is refused', (more) => {
    expect(() => monitorOf(more)).toThrow(expect.objectContaining({ code: 'monitoring/not-a-server' }));
  });
});

describe('llama-db metrics', () => {
  const urlOf = () => testbed.url(login);

  it('prints them once', async () => {
    const { code, stdout } = await start(['metrics', '--url', urlOf()]).finished;
    expect(code).toBe(0);
    expect(samplesOf(stdout).get('llama_postgres_in_recovery')).toBe(0);
  });

  it('serves them until it is ended, and goes on while the server refuses', async () => {
    const running = start(['metrics', '--url', urlOf(), '--listen', '0']);
    const url = () => /http:\/\/\S+\/metrics/.exec(running.printed())?.[0];
    await until(() => url() !== undefined, 20_000);
    const get = async (address: string) => {
      const answer = await fetch(address);
      return { status: answer.status, text: await answer.text() };
    };
    const address = url() ?? '';
    const both = await Promise.all([get(address), get(address)]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect(both[0]?.text).toContain('llama_postgres_database_size_bytes ');
    expect((await get(address.replace('/metrics', '/other'))).status).toBe(404);
    await testbed.query('superuser', `ALTER ROLE ${login.user} NOLOGIN`);
    const down = await get(address);
    await testbed.query('superuser', `ALTER ROLE ${login.user} LOGIN`);
    expect(down.status).toBe(200);
    expect(samplesOf(down.text).get('llama_collector_up{collector="size"}')).toBe(0);
    expect(samplesOf((await get(address)).text).get('llama_collector_up{collector="size"}')).toBe(1);
    process.kill(running.pid, 'SIGTERM');
    expect((await running.finished).code).toBe(0);
    expect(running.printed()).not.toContain(login.password);
  });

  it.each(['70000', 'example.org:80'])('refuses to listen on %j', async (address) => {
    const { code, stderr } = await start(['metrics', '--url', urlOf(), '--listen', address]).finished;
    expect(code).toBe(2);
    expect(stderr).toContain('PORT');
  });
});

describe('dashboards', () => {
  const root = join(import.meta.dirname, '../..');

  it.each(['docs/dashboards/grafana.json'])(
    '%s shows only metrics that exist, and all but the details',
    (file) => {
      const text = readFileSync(join(root, file), 'utf8');
      const used = new Set(text.match(/\bllama_[a-z_]+/g));
      expect(JSON.parse(text)).toHaveProperty('panels');
      expect([...used].filter((name) => !(name in families))).toEqual([]);
      expect(Object.keys(families).filter((name) => !used.has(name))).toEqual([]);
    },
  );

  it('docs/dashboards/workbook.json shows only metrics that Azure has, and the nine', () => {
    const text = readFileSync(join(root, 'docs/dashboards/workbook.json'), 'utf8');
    const used = [
      ...text.matchAll(/"metric": "microsoft\.dbforpostgresql\/flexibleservers-[A-Za-z ]+-(\w+)"/g),
    ];
    const names = used.map(([, name = '']) => name);
    expect(names.filter((name) => !(name in azureFacts))).toEqual([]);
    expect(Object.keys(azureMetrics).filter((name) => !names.includes(name))).toEqual([]);
  });
});
