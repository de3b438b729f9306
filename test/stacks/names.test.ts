// Duration: 45 s
/** Every name that a stack gives a resource: within the limits of its type, and its own in its place. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { derivedNames, isResourceName, resourceNames } from '../../azure/resource-names.ts';
import { resourceTypes } from '../../azure/resource-types.ts';
import { parseEnvironments } from '../../environments/collection.ts';
import { resolve } from '../../environments/resolved.ts';
import { synthesize } from '../../stacks/synthesis.ts';
import { changed, injected } from '../environments/refused/row.ts';
import { production } from '../support/settings/production.ts';
import { staging } from '../support/settings/staging.ts';
import { longest, random } from './longest-names.ts';
import { type Block, Stack } from './stack.ts';

const typeOf = new Map<string, string>(
  Object.entries(resourceTypes).flatMap(([type, facts]) =>
    'terraform' in facts ? [[facts.terraform.type, type] as const] : [],
  ),
);

interface Named {
  readonly type: string;
  readonly name: string;
  readonly address: string;
}

/** A text with the names of resources in place of references to them. */
function resolved(stack: Stack, value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  return value.replaceAll(
    /\$\{((?:data\.)?azurerm_\w+\.[\w-]+)\.name\}/g,
    (_, address) => resolved(stack, stack.at(address)['name']) ?? '',
  );
}

/** Names of the resources that a stack creates, those inside an endpoint included. */
function namesOf(stack: Stack): readonly Named[] {
  return Object.entries(stack.document.resource).flatMap(([terraform, blocks]) =>
    Object.entries(blocks).flatMap(([id, block]): Named[] => {
      const address = `${terraform}.${id}`;
      const type = typeOf.get(terraform);
      const name = resolved(stack, block['name']);
      const connection = (block['private_service_connection'] as Block | undefined)?.['name'];
      return [
        ...(type && name !== undefined ? [{ type, name, address }] : []),
        ...[block['custom_network_interface_name'], connection].flatMap((one) =>
          typeof one === 'string'
            ? [{ type: 'Microsoft.Network/networkInterfaces', name: one, address }]
            : [],
        ),
      ];
    }),
  );
}

function stacksOf(inputs: readonly unknown[]): readonly Stack[] {
  const folder = mkdtempSync(join(tmpdir(), 'llama-names-'));
  try {
    const environments = parseEnvironments(inputs).map(resolve);
    synthesize(environments, folder);
    return environments.map(
      ({ name }) => new Stack(readFileSync(join(folder, 'stacks', name, 'cdk.tf.json'), 'utf8')),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the longest names that the rules allow', () => {
  const bases = { production, injected };
  it.each(
    Object.entries(bases).flatMap(([what, base]) => [1, 2, 3, 4].map((seed) => ({ what, base, seed }))),
  )('give every resource a name of its type ($what, $seed)', ({ base, seed }) => {
    const [stack] = stacksOf([longest(base, random(seed))]);
    const names = stack ? namesOf(stack) : [];
    expect(names.length).toBeGreaterThan(60);
    const wrong = names.filter(({ type, name }) => !isResourceName(type, name));
    expect(wrong.map(({ address, name }) => `${address}: ${name} (${name.length})`)).toEqual([]);
    // A name that Terraform computes would escape the check.
    expect(names.filter(({ name }) => name.includes('${')).map(({ address }) => address)).toEqual([]);
  });

  it('inspect every type that a stack names and the table knows', () => {
    const inspected = new Set(
      Object.values(bases).flatMap((base) =>
        stacksOf([longest(base, random(5))]).flatMap((stack) => namesOf(stack).map(({ type }) => type)),
      ),
    );
    const shaped = [...typeOf.values()].filter((type) => type in resourceNames);
    // Only a public server has firewall rules.
    expect(shaped.filter((type) => !inspected.has(type))).toEqual([
      'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules',
    ]);
  });
});

describe('a derived name', () => {
  const long = 'n'.repeat(63);

  it('is the plain one while it fits', () => {
    expect(derivedNames.endpoint('llama-mapper-production')).toBe('llama-mapper-production-endpoint');
    expect(derivedNames.keyDeployment('field-encryption')).toBe('key-vault-key-field-encryption');
    expect(derivedNames.injectedZone('llama-mapper-production')).toBe(
      'llama-mapper-production.private.postgres.database.azure.com',
    );
  });

  it('keeps its beginning, and ends with a digest that is the same each time', () => {
    expect(derivedNames.endpoint(long)).toBe(`${'n'.repeat(55)}-${digest(`${long}-endpoint`)}`);
    expect(derivedNames.endpoint(long)).toBe(derivedNames.endpoint(long));
  });

  it('differs for two names that begin alike', () => {
    expect(derivedNames.endpoint(`${long.slice(1)}a`)).not.toBe(derivedNames.endpoint(`${long.slice(1)}b`));
  });

  it('does not end its beginning in a hyphen or period', () => {
    expect(derivedNames.securityGroup(`${'n'.repeat(70)}-`, 'subnet')).toMatch(/n-[0-9a-f]{8}$/);
  });
});

/** Types, places and names of the resources in Azure, without case. Two resources with the same ones are one. */
function identitiesOf(stack: Stack): readonly string[] {
  const text = (value: unknown): string =>
    (resolved(stack, value) ?? '').replaceAll(/\$\{((?:data\.)?azurerm_\w+\.[\w-]+)\.id\}/g, (_, address) =>
      of(address),
    );
  const places = ['resource_group_name', 'virtual_network_name', 'private_dns_zone_name', 'server_name'];
  const parents = ['server_id', 'vault_id', 'resource_group_id', 'target_resource_id', 'scope'];
  const global =
    /^azurerm_(?:postgresql_flexible_server|postgresql_flexible_server_virtual_endpoint|key_vault)$/;
  const of = (address: string): string => {
    const block = stack.at(address);
    const type = address.replace(/^data\./, '').split('.')[0] ?? '';
    const within = global.test(type) ? [] : [...places, ...parents].map((place) => text(block[place]));
    return [type, ...within, text(block['name'])]
      .filter((part) => part !== '')
      .join('/')
      .toLowerCase();
  };
  return stack
    .addresses()
    .filter((address) => !address.startsWith('data.') && typeOf.has(address.split('.')[0] ?? ''))
    .map(of);
}

describe('two environments', () => {
  /** Changes that make staging share something with production. */
  const shares: readonly Readonly<Record<string, unknown>>[] = [
    { resourceGroup: { name: production.resourceGroup.name, existing: true } },
    { 'resourceGroup.name': production.recoveryResourceGroup?.name },
    { 'network.primary.virtualNetwork.name': production.network.primary.virtualNetwork.name },
    {
      'network.primary.virtualNetwork.existing': true,
      'network.primary.virtualNetwork.resourceGroup': production.resourceGroup.name,
    },
    { 'network.primary.virtualNetwork.resourceGroup': production.resourceGroup.name.toUpperCase() },
    { 'network.primary.endpointSubnet.name': 'staging-endpoints' },
    { 'network.postgresqlZone': { existing: true, resourceGroup: production.resourceGroup.name } },
    { 'network.keyVaultZone': { existing: true, resourceGroup: production.resourceGroup.name } },
    { 'network.keyVaultZone': { resourceGroup: production.resourceGroup.name } },
    { 'keyVault.existing': true },
    { 'keyVault.name': production.keyVault.name },
    { 'keyVault.name': production.server.name },
    { 'keyVault.resourceGroup': production.resourceGroup.name },
    { 'keyVault.fieldEncryptionKey.name': 'field-encryption-staging' },
    { 'logAnalytics.name': production.logAnalytics.name.toUpperCase() },
    { 'logAnalytics.resourceGroup': production.resourceGroup.name },
    { 'monitoring.actionGroup.name': production.monitoring.actionGroup.name },
    { longTermBackup: production.longTermBackup },
    { budget: production.budget },
  ];

  it('have no resource in common if the rules accept them', () => {
    const next = random(11);
    let accepted = 0;
    for (let run = 0; run < 1000 && accepted < 25; run += 1) {
      const change = Object.assign({}, ...shares.filter(() => next() < 0.25));
      const inputs = [production, changed(staging, change)];
      if (!isAccepted(inputs)) continue;
      accepted += 1;
      const all = stacksOf(inputs).flatMap(identitiesOf);
      const twice = all.filter((one, at) => all.indexOf(one) !== at);
      expect(twice, JSON.stringify(change)).toEqual([]);
    }
    expect(accepted).toBe(25);
  }, 120_000);
});

function isAccepted(inputs: readonly unknown[]): boolean {
  try {
    return parseEnvironments(inputs).length > 0;
  } catch {
    return false;
  }
}

function digest(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 8);
}
