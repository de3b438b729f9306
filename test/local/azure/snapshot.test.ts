/** The whole state of a local Azure can be kept and put back, here or in another one. */
import { expect, it } from 'vitest';
import { startLocalAzure } from '../../../local/azure/index.ts';
import { AzureClient } from '../../support/azure-client.ts';
import { serverDocument, useLocalAzure } from '../../support/azure-fixture.ts';

const fixture = useLocalAzure({ containers: ['states/production'] });

const blob = async (client: AzureClient, method: string, headers: Record<string, string> = {}, body = '') =>
  client.call(method, '/production/llama.tfstate', {
    host: 'states.blob.core.windows.net',
    headers: { ...(await client.authorization('https://storage.azure.com')), ...headers },
    ...(method === 'GET' ? {} : { body }),
  });

it('restores changed, deleted and added resources', async () => {
  const { azure, client } = fixture;
  await fixture.create('main');
  const vault = fixture.resource('Microsoft.KeyVault/vaults/secrets');
  await client.arm('PUT', vault, { location: 'eastus', properties: {} });
  await blob(client, 'PUT', {}, '{"serial":1}');
  const snapshot = await azure.snapshot();

  await client.done('PATCH', fixture.server('main'), { tags: { changed: 'yes' } });
  await fixture.create('other');
  await client.arm('DELETE', vault);
  await blob(client, 'PUT', {}, '{"serial":2}');
  azure.directory.expireCredentials();
  await azure.restore(snapshot);

  expect(JSON.parse((await client.arm('GET', fixture.server('main'))).text)).not.toHaveProperty('tags');
  expect((await client.arm('GET', fixture.server('other'))).status).toBe(404);
  expect((await client.arm('GET', vault)).status).toBe(200);
  expect((await blob(client, 'GET')).text).toBe('{"serial":1}');
});

it('waits for running operations before it is taken, and abandons them when it is restored', async () => {
  const { azure, client } = fixture;
  const release = fixture.hold();
  expect((await client.arm('PUT', fixture.server('main'), serverDocument())).status).toBe(202);
  const taking = azure.snapshot();
  release();
  const snapshot = await taking;
  fixture.hold();
  await client.arm('PATCH', fixture.server('main'), { tags: { late: 'yes' } });
  await azure.restore(snapshot);
  const found = await client.arm('GET', fixture.server('main'));
  expect(found.body.properties.state).toBe('Ready');
  expect(found.text).not.toContain('late');
  expect(azure.operations.at(-1)?.outcome).toBe('Abandoned');
  expect((await client.arm('PATCH', fixture.server('main'), { tags: {} })).status).toBe(202);
});

it('is the start of another local Azure', async () => {
  await fixture.create('main');
  await blob(fixture.client, 'PUT', {}, '{"serial":1}');
  const other = await startLocalAzure();
  try {
    await other.restore(await fixture.azure.snapshot());
    const client = new AzureClient(other);
    expect((await client.arm('GET', fixture.server('main'))).body.properties.state).toBe('Ready');
    expect((await blob(client, 'GET')).text).toBe('{"serial":1}');
  } finally {
    await other.stop();
  }
});
