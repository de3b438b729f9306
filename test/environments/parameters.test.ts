import { describe, expect, it } from 'vitest';
import { parameter } from '../../azure/parameters.ts';
import { claimedConnections, maxConnections, userConnections } from '../../environments/connections.ts';
import { development } from '../../environments/development.ts';
import { environments, parseEnvironments } from '../../environments/index.ts';
import { serverParameters } from '../../environments/parameters.ts';
import { production } from '../../environments/production.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../../environments/settings.ts';
import { type Change, changed } from './refused/row.ts';

function settings(from: EnvironmentInput, change: Change = {}): EnvironmentSettings {
  const [parsed] = parseEnvironments([changed(from, change)]);
  if (!parsed) throw new Error('no settings');
  return parsed;
}

const values = (one: EnvironmentSettings, role?: 'primary' | 'replica') =>
  Object.fromEntries(serverParameters(one, role).map(({ name, value }) => [name, value]));

describe('server parameters', () => {
  it('are all ones Azure has, may set and would take', () => {
    for (const one of environments()) {
      for (const { name, value, static: needsRestart, unit } of serverParameters(one)) {
        const known = parameter(name);
        expect(known, name).toBeDefined();
        expect(known?.apply, name).toBe(needsRestart ? 'static' : 'dynamic');
        expect(unit, name).toBe(known?.unit);
        expect(value, name).not.toBe('');
        expect(value, name).toMatch(/^\S+$/);
      }
    }
  });

  it('put the tenants’ data nowhere', () => {
    expect(values(settings(production))).toMatchObject({
      log_statement: 'ddl',
      log_parameter_max_length: '0',
      log_parameter_max_length_on_error: '0',
      'pgaudit.log': 'ddl,role,read',
      'pgaudit.log_parameter': 'off',
      require_secure_transport: 'on',
      ssl_min_protocol_version: 'TLSv1.3',
    });
  });

  it('leave to Azure what follows from the size', () => {
    for (const name of [
      'max_connections',
      'shared_buffers',
      'work_mem',
      'effective_cache_size',
      'wal_buffers',
    ]) {
      expect(values(settings(production))).not.toHaveProperty(name);
    }
  });

  it('come in an order that one restart and the pooler can live with', () => {
    const names = serverParameters(settings(production, { 'server.parameters': { max_wal_senders: 20 } }));
    const restart = names.map((one) => one.static);
    expect(names[0]?.name).toBe('azure.extensions');
    expect(restart.lastIndexOf(true)).toBeLessThan(restart.indexOf(false, 1));
    const position = (name: string) => names.findIndex((one) => one.name === name);
    for (const { name } of names) {
      if (name.startsWith('pgbouncer.') && name !== 'pgbouncer.enabled') {
        expect(position('pgbouncer.enabled'), name).toBeLessThan(position(name));
      }
    }
    expect(position('pgbouncer.enabled')).toBeLessThan(position('metrics.pgbouncer_diagnostics'));
    expect(position('pg_qs.query_capture_mode')).toBeLessThan(
      position('pgms_wait_sampling.query_capture_mode'),
    );
  });

  it('preload what the extensions need and what Azure would lose', () => {
    const preloaded = (change: Change) => values(settings(development, change))['shared_preload_libraries'];
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

  it('set nothing for extensions that are not there', () => {
    const few = values(settings(development, { 'server.extensions': ['pgcrypto'] }));
    expect(few['azure.extensions']).toBe('pgcrypto');
    expect(Object.keys(few).filter((name) => /^(cron|pgaudit)\./.test(name))).toEqual([]);
    const none = values(settings(development, { 'server.extensions': [] }));
    expect(none).not.toHaveProperty(['azure.extensions']);
  });

  it('turn the query store off where it is not wanted or not there', () => {
    const capture = (one: EnvironmentSettings) => values(one)['pg_qs.query_capture_mode'];
    expect(capture(settings(development))).toBe('none');
    expect(capture(settings(production))).toBe('top');
    expect(capture(settings(production, { 'server.queryStore': false }))).toBe('none');
  });

  it('are the settings’ where these differ, and the replica’s own where those do', () => {
    const one = settings(production, {
      'server.parameters': {
        work_mem: 16_384,
        log_statement: 'none',
        jit: true,
        hot_standby_feedback: false,
      },
      'replica.parameters': { hot_standby_feedback: true, max_standby_streaming_delay: 300_000 },
    });
    expect(values(one)).toMatchObject({ work_mem: '16384', log_statement: 'none', jit: 'on' });
    expect(values(one)).toMatchObject({ hot_standby_feedback: 'off' });
    expect(values(one)).not.toHaveProperty('max_standby_streaming_delay');
    expect(values(one, 'replica')).toMatchObject({
      work_mem: '16384',
      hot_standby_feedback: 'on',
      max_standby_streaming_delay: '300000',
    });
    expect(serverParameters(one).filter(({ name }) => name === 'log_statement')).toHaveLength(1);
  });

  it('spell switches as Azure does', () => {
    expect(values(settings(production))).toMatchObject({
      'pgbouncer.enabled': 'true',
      log_connections: 'on',
    });
  });
});

describe('connections', () => {
  it('are those in force', () => {
    const one = settings(production);
    expect(maxConnections(one)).toBe(1718);
    expect(userConnections(one)).toBe(1703);
    const set = settings(production, { 'server.parameters': { max_connections: 1000 } });
    expect([maxConnections(set), userConnections(set, 'replica')]).toEqual([1000, 985]);
  });

  it('are claimed by pools at full scale, a migration and scheduled jobs', () => {
    expect(claimedConnections(settings(production))).toBe(20 * 12 + 40 * 12 + 10 * 2 + 2 + 32);
    const fewer = { 'server.parameters': { 'cron.max_running_jobs': 5 } };
    expect(claimedConnections(settings(production, fewer))).toBe(740 + 2 + 5);
    expect(claimedConnections(settings(production, { 'server.extensions': ['pgcrypto'] }))).toBe(742);
  });
});
