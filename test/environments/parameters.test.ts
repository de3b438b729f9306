import { describe, expect, it } from 'vitest';
import { isStatic, parameter, refusal } from '../../azure/parameters.ts';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { parseEnvironments } from '../../environments/collection.ts';
import { candidateOf, type ResolvedEnvironment, resolve } from '../../environments/resolved.ts';
import { claimedConnections } from '../../environments/rules/capacity.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { environments } from '../support/environments.ts';
import { development } from '../support/settings/development.ts';
import { production } from '../support/settings/production.ts';
import { type Change, changed } from './refused/row.ts';

function settings(from: EnvironmentInput, change: Change = {}) {
  const [parsed] = parseEnvironments([changed(from, change)]);
  if (!parsed) throw new Error('no settings');
  return parsed;
}

const resolved = (from: EnvironmentInput, change: Change = {}) => resolve(settings(from, change));

const values = ({ servers }: ResolvedEnvironment, role: ServerRole = 'primary') =>
  Object.fromEntries(servers[role]?.parameters ?? []);

describe('server parameters', () => {
  it('exist in Azure, can be set, and have valid values', () => {
    for (const { servers } of environments.all()) {
      for (const [name, value] of servers.primary.parameters) {
        const known = parameter(name);
        expect(known, name).toBeDefined();
        expect(known?.apply, name).not.toBe('read-only');
        expect(known && refusal(known, name, value), name).toBeUndefined();
        expect(value, name).not.toBe('');
        expect(value, name).toMatch(/^\S+$/);
      }
    }
  });

  it("record no tenants' data", () => {
    expect(values(resolved(production))).toMatchObject({
      log_statement: 'none',
      log_parameter_max_length: '0',
      log_parameter_max_length_on_error: '0',
      'pgaudit.log': 'ddl,role,read',
      'pgaudit.log_parameter': 'off',
      require_secure_transport: 'on',
      ssl_min_protocol_version: 'TLSv1.3',
    });
  });

  it('leave parameters to Azure that depend on the size', () => {
    for (const name of ['shared_buffers', 'work_mem', 'effective_cache_size', 'wal_buffers']) {
      expect(values(resolved(production))).not.toHaveProperty(name);
    }
  });

  it('set the connections of the size, which Azure computes at creation only', () => {
    const sizes = (change: Change) => {
      const { primary, replica } = resolved(production, change).servers;
      return [primary, replica].map((one) => one?.parameters.get('max_connections'));
    };
    expect(sizes({})).toEqual(['1718', '1718']);
    expect(sizes({ 'server.sku': 'GP_Standard_D8s_v3' })).toEqual(['3437', '3437']);
    expect(sizes({ virtualEndpoint: undefined, 'replica.sku': 'GP_Standard_D8s_v3' })).toEqual([
      '1718',
      '3437',
    ]);
    expect(sizes({ 'server.parameters': { max_connections: 1000 } })).toEqual(['1000', '1000']);
  });

  it('come in the order that one restart and the pooler need', () => {
    const { servers } = resolved(production, { 'server.parameters': { max_wal_senders: 20 } });
    const names = [...servers.primary.parameters.keys()];
    const restart = names.map(isStatic);
    expect(names[0]).toBe('azure.extensions');
    expect(restart.lastIndexOf(true)).toBeLessThan(restart.indexOf(false, 1));
    const position = (name: string) => names.indexOf(name);
    for (const name of names) {
      if (name.startsWith('pgbouncer.') && name !== 'pgbouncer.enabled') {
        expect(position('pgbouncer.enabled'), name).toBeLessThan(position(name));
      }
    }
    expect(position('pgbouncer.enabled')).toBeLessThan(position('metrics.pgbouncer_diagnostics'));
    expect(position('pg_qs.query_capture_mode')).toBeLessThan(
      position('pgms_wait_sampling.query_capture_mode'),
    );
  });

  it("preload the extensions' libraries and Azure's own", () => {
    const preloaded = (change: Change) => values(resolved(development, change))['shared_preload_libraries'];
    expect(preloaded({ 'server.extensions': [] })).toBe('pg_stat_statements');
    expect(preloaded({ 'server.extensions': ['pgcrypto', 'pg_partman'] })).toBe(
      'pg_partman_bgw,pg_stat_statements',
    );
    expect(preloaded({ 'server.version': 18, 'server.extensions': ['pgaudit'] })).toBe(
      'pg_cron,pg_stat_statements,pgaudit',
    );
    expect(preloaded({ 'server.extensions': ['pg_cron'], 'server.preloadLibraries': ['auto_explain'] })).toBe(
      'auto_explain,pg_cron,pg_stat_statements',
    );
  });

  it('set nothing for absent extensions', () => {
    const few = values(resolved(development, { 'server.extensions': ['pgcrypto'] }));
    expect(few['azure.extensions']).toBe('pgcrypto');
    expect(Object.keys(few).filter((name) => /^(cron|pgaudit)\./.test(name))).toEqual([]);
    const none = values(resolved(development, { 'server.extensions': [] }));
    expect(none).not.toHaveProperty(['azure.extensions']);
  });

  it('turn the query store off if it is not wanted or does not exist', () => {
    const capture = (one: ResolvedEnvironment) => values(one)['pg_qs.query_capture_mode'];
    expect(capture(resolved(development))).toBe('none');
    expect(capture(resolved(production))).toBe('top');
    expect(capture(resolved(production, { 'server.queryStore': false }))).toBe('none');
  });

  it("are those of the settings, and the replica's own if it has some", () => {
    const one = resolved(production, {
      'server.parameters': {
        work_mem: 16_384,
        log_statement: 'ddl',
        jit: true,
        hot_standby_feedback: false,
      },
      'replica.parameters': { hot_standby_feedback: true, max_standby_streaming_delay: 300_000 },
    });
    expect(values(one)).toMatchObject({ work_mem: '16384', log_statement: 'ddl', jit: 'on' });
    expect(values(one)).toMatchObject({ hot_standby_feedback: 'off' });
    expect(values(one)).not.toHaveProperty('max_standby_streaming_delay');
    expect(values(one, 'replica')).toMatchObject({
      work_mem: '16384',
      hot_standby_feedback: 'on',
      max_standby_streaming_delay: '300000',
    });
    expect(
      [...one.servers.primary.parameters.keys()].filter((name) => name === 'log_statement'),
    ).toHaveLength(1);
  });

  it('have switches as Azure spells them', () => {
    expect(values(resolved(production))).toMatchObject({
      'pgbouncer.enabled': 'true',
      log_connections: 'on',
    });
  });
});

describe('connections', () => {
  it('are those in force', () => {
    const { primary } = resolved(production).servers;
    expect([primary.maxConnections, primary.availableConnections]).toEqual([1718, 1703]);
    const set = resolved(production, { 'server.parameters': { max_connections: 1000 } }).servers;
    expect([set.primary.maxConnections, set.replica?.availableConnections]).toEqual([1000, 985]);
  });

  it('are claimed by pools at full scale, a migration and scheduled jobs', () => {
    const claimed = (change: Change = {}) => claimedConnections(candidateOf(settings(production, change)));
    expect(claimed()).toEqual({
      pools: 20 * 12 + 40 * 12 + 10 * 2,
      migrations: 2,
      scheduledJobs: 32,
      total: 774,
    });
    const fewer = { 'server.parameters': { 'cron.max_running_jobs': 5 } };
    expect(claimed(fewer).total).toBe(740 + 2 + 5);
    expect(claimed({ 'server.extensions': ['pgcrypto'] }).total).toBe(742);
  });
});
