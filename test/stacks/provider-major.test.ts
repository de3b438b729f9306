/** The arguments that azurerm 5 renames. No 5.x has bindings yet, so they are compared with the names in its source. */
import { expect, it } from 'vitest';
import { isAtLeast, majorOf } from '../../azure/provider.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { writtenForMajor } from '../../stacks/provider-major.ts';
import { injected } from '../environments/refused/row.ts';
import { type Block, stackOf } from './stack.ts';

type Resources = Readonly<Record<string, Readonly<Record<string, Block>>>>;

const settings: EnvironmentInput = structuredClone(injected);
const four: { readonly resource: Resources } = JSON.parse(
  stackOf('production', (input) => Object.assign(input, settings)).text,
);

it('orders versions by their numbers', () => {
  expect(isAtLeast('4.100.0', '4.70.0')).toBe(true);
  expect(isAtLeast('4.70.0', '4.70.0')).toBe(true);
  expect(isAtLeast('4.55.0', '4.70.0')).toBe(false);
  expect(isAtLeast('5.0.0', '4.79.0')).toBe(true);
  expect(majorOf('5.2.0')).toBe(5);
});

it('writes the names of azurerm 5 for 5, and changes nothing for 4', () => {
  const { resource: five } = writtenForMajor(four, 5);
  expect(writtenForMajor(four, 4)).toEqual(four);
  const changed = Object.keys(four.resource).filter(
    (type) => JSON.stringify(four.resource[type]) !== JSON.stringify(five[type]),
  );
  expect(changed.sort()).toEqual([
    'azurerm_log_analytics_workspace',
    'azurerm_private_dns_zone_virtual_network_link',
    'azurerm_subnet',
  ]);
  expect(five['azurerm_log_analytics_workspace']?.['log_analytics']).toMatchObject({
    internet_ingestion_access_type: 'Disabled',
    internet_query_access_type: 'Enabled',
  });
  expect(Object.values(five['azurerm_private_dns_zone_virtual_network_link'] ?? {})[0]).toMatchObject({
    private_dns_zone_id: expect.stringMatching(/^\$\{azurerm_private_dns_zone\.\w+\.id\}$/),
  });
  expect(five['azurerm_subnet']?.['server_subnet']).toMatchObject({
    service_endpoint: [{ service: 'Microsoft.Storage' }],
  });
  expect(JSON.stringify(five)).not.toMatch(
    /internet_(?:ingestion|query)_enabled|private_dns_zone_name|"service_endpoints"/,
  );
});
