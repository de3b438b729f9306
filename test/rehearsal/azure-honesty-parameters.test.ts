/** Server parameters: which exist, what they may be, and when they take effect. */
import { beforeEach, describe, expect, it } from 'vitest';
import { serverDocument, useLocalAzure } from './azure-fixture.ts';

const fixture = useLocalAzure();

describe('a server parameter', () => {
  const parameter = (name: string) => `${fixture.server('main')}/configurations/${name}`;
  const set = (name: string, value: string) =>
    fixture.client.done('PUT', parameter(name), { properties: { value } });
  beforeEach(async () => {
    await fixture.client.done('PUT', fixture.server('main'), serverDocument());
  });

  it('that is static waits for the restart', async () => {
    await set('max_connections', '500');
    expect((await fixture.client.arm('GET', parameter('max_connections'))).body.properties).toMatchObject({
      value: '500',
      defaultValue: '1718',
      isConfigPendingRestart: true,
    });
    await fixture.client.done('POST', `${fixture.server('main')}/restart`, {});
    expect(
      (await fixture.client.arm('GET', parameter('max_connections'))).body.properties.isConfigPendingRestart,
    ).toBe(false);
  });

  it('that does not exist is not there', async () => {
    expect((await fixture.client.arm('GET', parameter('azure.extensions.enabled'))).status).toBe(404);
  });

  it.each([
    ['work_mem', '75% of available memory'],
    ['max_connections', '0'],
    ['azure.extensions', 'nonsense'],
    ['log_timezone', 'Europe/Berlin'],
  ])('%s refuses %s', async (name, value) => {
    expect((await set(name, value)).status).toBe(400);
  });
});
