/** Server parameters: which exist, what they may be, and when they take effect. */
import { beforeEach, describe, expect, it } from 'vitest';
import { serverDocument, useLocalAzure } from '../../../support/azure-fixture.ts';

describe('refusals of server parameters', () => {
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
        (await fixture.client.arm('GET', parameter('max_connections'))).body.properties
          .isConfigPendingRestart,
      ).toBe(false);
    });

    it('that does not exist is answered 404', async () => {
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

    it('that gets its former value before the restart waits for nothing', async () => {
      const pending = async () =>
        (await fixture.client.arm('GET', parameter('max_connections'))).body.properties
          .isConfigPendingRestart;
      await set('max_connections', '500');
      expect(await pending()).toBe(true);
      await set('max_connections', '1718');
      expect(await pending()).toBe(false);
    });

    it('is listed with its allowed values', async () => {
      await set('work_mem', '8192');
      const list = JSON.parse(
        (await fixture.client.arm('GET', `${fixture.server('main')}/configurations`)).text,
      );
      const named = (name: string) =>
        list.value.find((one: { name: string }) => one.name === name)?.properties;
      expect(named('work_mem')).toMatchObject({
        value: '8192',
        source: 'user-override',
        dataType: 'Integer',
      });
      expect(named('log_timezone')).toMatchObject({ isReadOnly: true });
      expect(named('wal_level')).toMatchObject({ allowedValues: 'replica,logical', isDynamicConfig: false });
    });

    it('of PgBouncer exists once it is enabled, and never on a Burstable server', async () => {
      const pool = 'pgbouncer.default_pool_size';
      expect((await set(pool, '20')).status).toBe(404);
      await set('pgbouncer.enabled', 'true');
      expect((await set(pool, '20')).body.status).toBe('Succeeded');
      await fixture.create('small', { sku: { name: 'Standard_B2s', tier: 'Burstable' } });
      const path = `${fixture.server('small')}/configurations/pgbouncer.enabled`;
      expect((await fixture.client.arm('GET', path)).status).toBe(404);
    });

    it('exists only in its versions', async () => {
      await fixture.create('older', { properties: { version: '16' } });
      const older = `${fixture.server('older')}/configurations`;
      expect((await fixture.client.arm('GET', `${older}/transaction_timeout`)).status).toBe(404);
      expect((await fixture.client.arm('GET', parameter('transaction_timeout'))).status).toBe(200);
      const extensions = await fixture.client.arm('PUT', `${older}/azure.extensions`, {
        properties: { value: 'pg_ivm' },
      });
      expect(extensions.body.error.message).toContain('does not offer for version 16: pg_ivm');
    });

    it('keeps the default of the size at creation', async () => {
      await fixture.client.done('PATCH', fixture.server('main'), {
        sku: { name: 'Standard_D8s_v3', tier: 'GeneralPurpose' },
      });
      const { properties } = (await fixture.client.arm('GET', parameter('max_connections'))).body;
      expect(properties).toMatchObject({ value: '1718', defaultValue: '1718' });
    });

    it('is a text', async () => {
      const answer = await fixture.client.arm('PUT', parameter('work_mem'), { properties: { value: 8192 } });
      expect(answer.body.error.code).toBe('InvalidParameterValue');
    });
  });
});
