import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { ruleFamilies, ruleTexts, warnings } from '../../environments/catalogue.ts';
import { environmentsOf, parseEnvironments } from '../../environments/collection.ts';
import { environments as own } from '../../environments/index.ts';
import { settingsRulesPage } from '../../environments/page.ts';
import { describeProblem, SettingsError } from '../../environments/problems.ts';
import { project } from '../../environments/project.ts';
import type { EnvironmentSettings } from '../../environments/settings.ts';
import { environments } from '../support/environments.ts';
import { development } from '../support/settings/development.ts';
import { production } from '../support/settings/production.ts';
import { staging } from '../support/settings/staging.ts';
import { acrossRows, changedEnvironment } from './refused/across.ts';
import { changed } from './refused/row.ts';
import { warningRows } from './refused/warnings.ts';

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

describe('the environments', () => {
  it('have no problem and no warning, in the order of promotion', () => {
    for (const { settings, names } of [own, environments]) {
      expect(settings().map(({ name }) => name)).toEqual(names);
      expect(settings().flatMap(warnings)).toEqual([]);
    }
  });

  it('are one file each, listed in list.ts', () => {
    const others =
      'accepted catalogue collection duration index list naming page parameters problems project ranges resolved rule settings shape traits';
    const files = readdirSync('environments').filter((file) => file.endsWith('.ts'));
    expect(files.map((file) => file.replace(/\.ts$/, '')).sort()).toEqual(
      [...own.names, ...others.split(' ')].sort(),
    );
  });

  it('are refused under another key than their name', () => {
    const input = environments.inputOf('staging');
    expect(() => environmentsOf({ stage: input }).settings()).toThrow(
      expect.objectContaining({ code: 'environment/name-differs', exitCode: 2 }),
    );
  });

  it('are found by name, resolved', () => {
    for (const name of environments.names) expect(environments.named(name).name).toBe(name);
    expect(environments.all()).toEqual(environments.names.map((name) => environments.named(name)));
  });

  it.each([
    ['nowhere', /Name one of them/],
    ['prodction', /Did you mean production\?/],
  ])('are refused by a name that does not exist: %s', (name, remedy) => {
    const refuse = () => environments.named(name);
    expect(refuse).toThrow(Fault);
    expect(refuse).toThrow(
      expect.objectContaining({
        code: 'environment/unknown',
        exitCode: 2,
        what: expect.stringContaining(name),
        why: expect.stringContaining(environments.names.join(', ')),
        remedy: expect.stringMatching(remedy),
      }),
    );
  });

  it('are copied for changes', () => {
    environments.inputOf('staging').server.name = 'changed';
    expect(environments.inputOf('staging').server.name).toBe('llama-mapper-staging');
  });

  it('have the values that the design asks for', ({ skip }) => {
    skip(project.name !== 'llama-mapper', 'the settings are those of another project');
    const settings = new Map<string, EnvironmentSettings>(own.settings().map((one) => [one.name, one]));
    const [dev, stage, prod] = ['development', 'staging', 'production'].map((name) => settings.get(name));
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
    expect(error.problems.map(({ id }) => id)).toEqual([
      'compute/known-sku',
      'compute/backup-retention',
      'compute/maintenance-window',
      'shape/known-setting',
    ]);
    for (const line of error.problems.map(describeProblem)) {
      expect(line).toMatch(/^environments\/\w+\.ts: [\w.]+ is .+: .+ \(.+\) \[[a-z]+\/[a-z-]+\]$/);
    }
    expect(error).toMatchObject({ code: 'settings/refused', exitCode: 2 });
    expect(error.message).not.toContain('\n');
    for (const { field } of error.problems) expect(error.message).toContain(field);
  });

  it('between environments are found even if one of them has its own', () => {
    const error = refusal([
      development,
      changed(staging, { 'server.name': 'llama-mapper-development', 'server.zone': '9' }),
      production,
    ]);
    expect(where(error)).toEqual(['staging: server.zone', 'staging: server.name']);
    expect(error.problems[1]?.remedy).toBe('development already has it as server.name.');
  });
});

describe('a name that only one environment may have', () => {
  it.each(acrossRows.map((row) => [row.what, row] as const))(
    '%s',
    (_what, { id, change, field, also = [] }) => {
      const error = refusal([changed(changedEnvironment, change), production]);
      expect(error.problems.map((one) => [one.environment, one.field, one.id])).toEqual([
        ['production', field, id],
        ...also.map((one) => ['production', ...one]),
      ]);
    },
  );

  it('is not that of a vault which both adopt', () => {
    const shared = {
      'keyVault.name': 'comply-ai-keyvault',
      'keyVault.resourceGroup': 'comply-ai-rg',
      'keyVault.existing': true,
    };
    const own = { 'keyVault.fieldEncryptionKey.name': 'field-encryption-staging' };
    expect(
      parseEnvironments([changed(staging, { ...shared, ...own }), changed(production, shared)]),
    ).toHaveLength(2);
  });
});

describe('warnings', () => {
  it.each(warningRows)('report $what', ({ id, parameter, value }) => {
    const [settings] = parseEnvironments([
      changed(production, { 'server.parameters': { [parameter]: value } }),
    ]);
    const found = settings ? warnings(settings) : [];
    const field = `server.parameters.${parameter}`;
    expect(found).toEqual([expect.objectContaining({ id, environment: 'production', field, value })]);
  });

  it('report the replica too', () => {
    const [settings] = parseEnvironments([
      changed(production, { 'replica.parameters': { log_statement: 'all' } }),
    ]);
    expect(settings && warnings(settings).map(({ field, id }) => [field, id])).toEqual([
      ['replica.parameters.log_statement', 'warnings/log-statement'],
    ]);
  });

  it('are not raised by values that leak nothing', () => {
    const harmless = { log_statement: 'none', log_parameter_max_length: 0, 'pgaudit.log_parameter': 'off' };
    const [settings] = parseEnvironments([changed(production, { 'server.parameters': harmless })]);
    expect(settings && warnings(settings)).toEqual([]);
  });
});

describe('the catalogue of rules', () => {
  it('has every file of environments/rules', () => {
    const files = readdirSync('environments/rules').map((file) => file.replace(/\.ts$/, ''));
    expect(files.sort()).toEqual(Object.keys(ruleFamilies).sort());
  });

  it.each(Object.entries(ruleFamilies))('names the rules of %s after their file', (family, rules) => {
    expect(Object.keys(rules).filter((id) => !id.startsWith(`${family}/`))).toEqual([]);
  });

  it.each(Object.entries(ruleTexts))('gives %s a sentence and a source', (id, { rule, source }) => {
    expect(id).toMatch(/^[a-z]+\/[a-z]+(-[a-z]+)*$/);
    expect(rule).toMatch(/^[a-zA-Z].*[^.]$/);
    expect(source).not.toBe('');
  });

  it('is printed in docs/settings-rules.md, every rule once', () => {
    const ids = settingsRulesPage().match(/(?<=^\| `)[a-z/-]+(?=`)/gm) ?? [];
    expect([...ids].sort()).toEqual(Object.keys(ruleTexts).sort());
  });
});
