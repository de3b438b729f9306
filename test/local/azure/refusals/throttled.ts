import { describe, expect, it } from 'vitest';
import { apiVersionOf } from '../../../../azure/resource-types.ts';
import { useLocalAzure } from '../../../support/azure-fixture.ts';

describe('too many requests', () => {
  const throttled = useLocalAzure({ throttled: true });

  it('are answered 429 with a Retry-After, and accepted again after it', async () => {
    const { azure, client, group } = throttled;
    const { authorization } = await client.authorization('https://management.azure.com');
    const ask = () =>
      azure.azure.dispatch({
        method: 'GET',
        host: 'management.azure.com',
        path: group,
        query: new URLSearchParams({ 'api-version': apiVersionOf('Microsoft.Resources/resourceGroups') }),
        headers: { authorization: authorization ?? '' },
        body: Buffer.alloc(0),
      });
    const answers = await Promise.all(Array.from({ length: 300 }, ask));
    const refused = answers.find(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(249);
    expect(refused?.headers).toMatchObject({ 'retry-after': '1' });
    azure.clock.advance(1000);
    expect((await ask()).status).toBe(200);
  });
});
