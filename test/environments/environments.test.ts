import { describe, expect, it } from 'vitest';
import { development } from '../../environments/development.ts';
import { environments, parseEnvironments } from '../../environments/index.ts';
import { SettingsError } from '../../environments/problems.ts';
import { production } from '../../environments/production.ts';
import { staging } from '../../environments/staging.ts';
import { warnings } from '../../environments/warnings.ts';
import { changed } from './refused/row.ts';

function refusal(inputs: readonly unknown[]): SettingsError {
  try {
    parseEnvironments(inputs);
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
  throw new Error('these settings were expected to be refused');
}

const where = (error: SettingsError) => error.problems.map((one) => `${one.environment}: ${one.field}`);

describe('the three environments', () => {
  it('have no problem and no warning, in the order of promotion', () => {
    const all = environments();
    expect(all.map((one) => one.name)).toEqual(['development', 'staging', 'production']);
    expect(all.flatMap(warnings)).toEqual([]);
  });

  it('have the values the design asks for', () => {
    const [dev, stage, prod] = environments();
    expect(dev?.server).toMatchObject({
      name: 'llama-mapper-development',
      sku: 'B_Standard_B2s',
      storage: { sizeGb: 32, autoGrow: true },
      backup: { retentionDays: 7, geoRedundant: false },
    });
    expect(dev?.server.highAvailability ?? dev?.server.pgBouncer ?? dev?.replica).toBeUndefined();
    expect(stage?.server).toMatchObject({
      highAvailability: { mode: 'ZoneRedundant' },
      backup: { geoRedundant: true },
    });
    expect(prod).toMatchObject({
      location: 'eastus',
      recoveryLocation: 'westus2',
      tags: { Environment: 'production', Project: 'llama-mapper' },
      server: {
        name: 'llama-mapper-production',
        version: 17,
        sku: 'GP_Standard_D4s_v3',
        storage: { sizeGb: 1024, autoGrow: true },
        backup: { retentionDays: 35, geoRedundant: true },
        highAvailability: { mode: 'ZoneRedundant', standbyZone: '2' },
        maintenanceWindow: { dayOfWeek: 0, startHour: 2, startMinute: 0 },
        authentication: { passwordLogin: false },
      },
      replica: { name: 'llama-mapper-replica-production', location: 'westus2' },
      database: { name: 'llama_mapper', charset: 'UTF8', collation: 'en_US.utf8' },
      protection: { deletionLock: 'inPlace', preventDestroy: true },
      state: { backend: 'azurerm' },
    });
  });
});

describe('problems', () => {
  it('of all environments are reported together', () => {
    const error = refusal([
      changed(development, { 'server.sku': 'Standard_B2s', 'server.backup.retentionDays': 5 }),
      changed(staging, { 'server.maintenanceWindow.startHour': 30 }),
      changed(production, { 'replica.location': 'eastus', sever: {} }),
    ]);
    expect(where(error)).toEqual([
      'development: server.sku',
      'development: server.backup.retentionDays',
      'staging: server.maintenanceWindow.startHour',
      'production: sever',
    ]);
    expect(error.message.split('\n')).toHaveLength(4);
    for (const line of error.message.split('\n')) {
      expect(line).toMatch(/^environments\/\w+\.ts: [\w.]+ is .+: .+ \[.+\]$/);
    }
  });

  it('between environments are found even when one of them has its own', () => {
    const error = refusal([
      development,
      changed(staging, { 'server.name': 'llama-mapper-development', 'server.zone': '9' }),
      production,
    ]);
    expect(where(error)).toEqual(['staging: server.zone', 'staging: server.name']);
    expect(error.message).toMatch(/development already has it as server\.name/);
  });
});

describe('what is taken once', () => {
  it.each([
    ['an environment’s name', staging, { name: 'production', 'tags.Environment': 'production' }, 'name'],
    ['a server’s name', staging, { 'server.name': 'llama-mapper-replica-production' }, 'replica.name'],
    ['a vault’s name, in any case', staging, { 'keyVault.name': 'Comply-AI-kv-production' }, 'keyVault.name'],
    ['a state', staging, { 'state.container': 'llama-mapper-production' }, 'state.key'],
  ] as const)('%s', (_what, from, change, field) => {
    const error = refusal([changed(from, change), production]);
    expect(error.problems.map((one) => one.field)).toEqual([field]);
    expect(error.problems[0]?.environment).toBe('production');
  });

  it('does not include a vault that is adopted by both', () => {
    const shared = {
      'keyVault.name': 'comply-ai-keyvault',
      'keyVault.resourceGroup': 'comply-ai-rg',
      'keyVault.existing': true,
    };
    expect(parseEnvironments([changed(staging, shared), changed(production, shared)])).toHaveLength(2);
  });
});

describe('warnings', () => {
  it.each([
    ['log_statement', 'all', /text of every such statement/],
    ['log_statement', 'mod', /text of every such statement/],
    ['log_parameter_max_length', -1, /parameters of logged statements/],
    ['log_parameter_max_length_on_error', 100, /parameters of failed statements/],
    ['pgaudit.log_parameter', true, /parameters of audited statements/],
    ['pg_qs.parameters_capture_mode', 'capture_first_sample', /every login may read/],
  ])('say what %s = %s puts where', (name, value, rule) => {
    const [settings] = parseEnvironments([changed(production, { 'server.parameters': { [name]: value } })]);
    const found = settings ? warnings(settings) : [];
    expect(found).toMatchObject([{ environment: 'production', field: `server.parameters.${name}`, value }]);
    expect(found[0]?.rule).toMatch(rule);
  });

  it('are not raised by values that leak nothing', () => {
    const harmless = { log_statement: 'none', log_parameter_max_length: 0, 'pgaudit.log_parameter': 'off' };
    const [settings] = parseEnvironments([changed(production, { 'server.parameters': harmless })]);
    expect(settings && warnings(settings)).toEqual([]);
  });
});
