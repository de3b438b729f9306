/** Settings that Terraform ignores after the creation: the plan warns if they differ from what is in force. */
import { expect, it } from 'vitest';
import { stackOf } from './stack.ts';

interface Assertion {
  readonly condition: string;
  readonly error_message: string;
}

function checksOf(...parameters: Parameters<typeof stackOf>): Readonly<Record<string, readonly Assertion[]>> {
  const { check = {} } = JSON.parse(stackOf(...parameters).text);
  return Object.fromEntries(
    Object.entries<{ readonly assert: readonly Assertion[] }>(check).map(([name, { assert }]) => [
      name,
      assert,
    ]),
  );
}

it('warns of the zone, the disk and the geo-redundancy of a pair', () => {
  let sizeGb = 0;
  const { server_as_set: primary = [], replica_as_set: replica = [] } = checksOf('production', (input) => {
    sizeGb = input.server.storage.sizeGb;
  });
  const server = '${azurerm_postgresql_flexible_server.server';
  expect(primary.map(({ condition }) => condition)).toEqual([
    expect.stringMatching(
      /^\$\{contains\(\["1","2"\], azurerm_postgresql_flexible_server\.server\.zone\)\}$/,
    ),
    `${server}.storage_mb >= ${sizeGb * 1024}}`,
    `${server}.geo_redundant_backup_enabled == true}`,
  ]);
  expect(primary.map(({ error_message }) => error_message).join(' ')).toMatch(
    /zone.*storage\.resize: true.*in its own region only, and the settings have geoRedundant: true/,
  );
  expect(replica.some(({ condition }) => condition.includes('geo_redundant'))).toBe(false);
  expect(replica.some(({ condition }) => condition.includes('replica.storage_mb'))).toBe(true);
});

it('does not warn of what Terraform changes', () => {
  const resized = checksOf('production', ({ server }) => {
    server.storage.resize = true;
  });
  const conditions = Object.values(resized).flat();
  expect(conditions.some(({ condition }) => condition.includes('server.server.storage_mb'))).toBe(false);
});

it('leaves the geo-redundancy alone after a switchover', () => {
  const switched = checksOf('production', (input) => {
    input.writer = 'replica';
  });
  expect(JSON.stringify(switched)).not.toContain('geo_redundant');
});

it('compares only arguments that are written, so that the first plan knows each', () => {
  for (const name of ['development', 'staging', 'production'] as const) {
    const { text } = stackOf(name);
    const { resource, check = {} } = JSON.parse(text);
    const references = JSON.stringify(check).matchAll(/(azurerm_\w+)\.(\w+)\.(\w+)/g);
    const unknown = [...references].flatMap(([reference, type = '', label = '', argument = '']) =>
      resource[type]?.[label]?.[argument] === undefined ? [reference] : [],
    );
    expect(unknown, name).toEqual([]);
  }
});
