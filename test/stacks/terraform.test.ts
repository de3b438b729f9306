import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { azurermVersion } from '../../azure/provider.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { terraform, whyNoAzurerm } from '../support/terraform.ts';
import { longest, random } from './longest-names.ts';
import { inRegionWithoutZones, stackOf } from './stack.ts';

const missing = await whyNoAzurerm();

interface Validation {
  readonly valid: boolean;
  readonly diagnostics: readonly unknown[];
}

const variants: readonly [
  name: string,
  environment: 'development' | 'staging' | 'production',
  change?: (input: EnvironmentInput) => void,
][] = [
  ['development', 'development'],
  ['staging', 'staging'],
  ['production', 'production'],
  [
    'password login and a customer-managed key',
    'staging',
    (input) => {
      Object.assign(input.server.authentication, {
        passwordLogin: true,
        administratorLogin: 'llama_admin',
        passwordVersion: 2,
      });
      const key = (region: string) => ({
        keyId: `https://comply-ai-${region}.vault.azure.net/keys/data`,
        identityId: `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/keys/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${region}`,
      });
      input.server.customerManagedKey = { primary: key('eastus'), geoBackup: key('westus') };
    },
  ],
  [
    'a public server',
    'development',
    (input) => {
      input.network = {
        mode: 'public',
        primary: input.network.primary,
        allowedRanges: [{ name: 'office', start: '20.50.10.8', end: '20.50.10.15' }],
      };
    },
  ],
  [
    'injected servers after a switchover, in adopted surroundings',
    'production',
    (input) => {
      const { primary, recovery } = input.network as Extract<
        typeof input.network,
        { mode: 'privateEndpoint' }
      >;
      if (!recovery) throw new Error('production has no recovery network');
      input.writer = 'replica';
      input.resourceGroup.existing = true;
      input.network = {
        mode: 'virtualNetworkInjected',
        primary: {
          ...primary,
          virtualNetwork: { ...primary.virtualNetwork, existing: true, resourceGroup: 'network-rg' },
          delegatedSubnet: { name: 'servers', range: '10.30.2.0/24' },
        },
        recovery: { ...recovery, delegatedSubnet: { name: 'servers', range: '10.31.2.0/24' } },
        keyVaultZone: { existing: true, resourceGroup: 'dns-rg' },
      };
      Object.assign(input.keyVault, { existing: true, resourceGroup: 'comply-ai-rg' });
      Object.assign(input.logAnalytics, { existing: true, resourceGroup: 'comply-ai-rg' });
    },
  ],
  ['the longest names', 'production', (input) => Object.assign(input, longest(input, random(1)))],
  ['a pair in a region without zones', 'production', inRegionWithoutZones],
];

describe(`terraform validate with azurerm ${azurermVersion}`, () => {
  it.for(variants)(
    'finds no error and no warning: %s',
    { timeout: 120_000 },
    async ([, environment, change], context) => {
      context.skip(missing !== undefined, missing);
      const folder = mkdtempSync(join(tmpdir(), 'llama-terraform-'));
      try {
        writeFileSync(join(folder, 'cdk.tf.json'), stackOf(environment, change).text);
        // The real backend needs Azure; an override replaces it without touching the file under test.
        writeFileSync(join(folder, 'override.tf.json'), '{"terraform":{"backend":{"local":{}}}}');
        const printed = await terraform(folder, 'init', '-input=false', '-no-color');
        // A provider from a local mirror has checksums for this platform only. The warning is about the mirror.
        expect([...printed.matchAll(/Warning: (.+)/g)].map(([, summary]) => summary)).toEqual([
          'Incomplete lock file information for providers',
        ]);
        // With errors it exits 1 and still prints the report, which has the details.
        const report = await terraform(folder, 'validate', '-json').catch(
          ({ stdout }: { stdout: string }) => stdout,
        );
        const validation: Validation = JSON.parse(report);
        expect(validation).toMatchObject({ valid: true, diagnostics: [] });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );
});
