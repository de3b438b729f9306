/** Properties of every sandbox: it finds secrets, accepts tokens as passwords, and closes all its parts. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { environments } from '../../environments/index.ts';
import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { LeakSearch } from '../../rehearsal/sandbox/leaks.ts';
import { Sandbox } from '../../rehearsal/sandbox/sandbox.ts';
import { Secrets } from '../../rehearsal/sandbox/secrets.ts';
import { Testbed } from '../../rehearsal/sandbox/testbed.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { tokenScope } from '../../runtime/credentials.ts';
import { ownNearest, ownWith, whyNoOwn } from '../support/own.ts';

const missing = await whyNoTerraform();
const [shared, pair] = [ownWith('remoteState', 'noReplica'), ownWith('replica')];

describe('a sandbox before its first deployment', () => {
  let sandbox: Sandbox;
  const why = missing ?? whyNoOwn('remoteState', 'noReplica');
  beforeEach((context) => context.skip(why !== undefined, why));
  beforeAll(async () => {
    if (missing !== undefined || shared === undefined) return;
    sandbox = await Sandbox.open({ environment: shared, quick: true });
  });
  afterAll(() => sandbox?.close());

  it('finds a secret in every place that a deployment writes to, and none otherwise', async () => {
    const { azure, project: scratch, postgres, settings } = sandbox;
    expect(await sandbox.leaks()).toEqual([]);
    const secret = azure.directory.options.clientSecret;
    await writeFile(path.join(scratch.root, 'cdktf.log'), `login with ${secret}`);
    const { state } = settings;
    if (state.backend !== 'azurerm') throw new Error('this environment keeps its state in a blob');
    azure.blobs.container(state.storageAccount, state.container)?.set(state.key, {
      ...{ content: Buffer.from(JSON.stringify({ password: secret })), contentType: 'application/json' },
      ...{ metadata: { terraformlockid: Buffer.from(secret).toString('base64') }, lease: undefined },
      ...{ etag: '"1"', modifiedAt: new Date() },
    });
    await within(administration(postgres), (client) =>
      client.query(`SELECT pg_catalog.pg_log_backend_memory_contexts(0), ${pg.escapeLiteral(secret)}::int`),
    ).catch(() => undefined);
    const found = await sandbox.leaks();
    expect(new Set(found.map(({ what }) => what))).toEqual(new Set(['the client secret']));
    expect(found.map(({ where }) => where).sort()).toEqual([
      `blob ${state.storageAccount}/${state.container}/${state.key}`,
      'cdktf.log',
      `metadata of blob ${state.storageAccount}/${state.container}/${state.key}`,
      `the log of ${settings.server.name}`,
    ]);
    await expect(sandbox.assertInvariants()).rejects.toThrow('the client secret is in cdktf.log');
  });

  it('finds a secret in an earlier version of a blob', async () => {
    const { azure, settings } = sandbox;
    const { state } = settings;
    if (state.backend !== 'azurerm') throw new Error('this environment keeps its state in a blob');
    const write = async (content: string) => {
      const token = await azure.directory.issue('https://storage.azure.com');
      const { status } = await azure.azure.dispatch({
        ...{ method: 'PUT', host: `${state.storageAccount}.blob.core.windows.net` },
        ...{ path: `/${state.container}/passing.tfstate`, query: new URLSearchParams() },
        ...{ headers: { authorization: `Bearer ${token}` }, body: Buffer.from(content) },
      });
      expect(status).toBe(201);
    };
    await write('{"password": null}');
    await write(JSON.stringify({ password: azure.directory.options.clientSecret }));
    await write('{}');
    const found = (await sandbox.leaks()).filter(({ where }) => where.endsWith('passing.tfstate'));
    expect(found).toEqual([
      {
        what: 'the client secret',
        where: `version 2 of blob ${state.storageAccount}/${state.container}/passing.tfstate`,
      },
    ]);
  });

  it('accepts a token as a password of a group only from its members, and only the latest', async () => {
    const { azure, postgres, settings } = sandbox;
    const [administrators] = settings.server.authentication.administrators;
    if (!administrators) throw new Error('this environment has administrators');
    const { name, objectId } = administrators;
    const server = `/subscriptions/${azure.subscriptionId}/resourceGroups/rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/${settings.server.name}`;
    azure.state.put(`${server}/administrators/${objectId}`, { properties: { principalName: name } });
    const issue = () => azure.directory.issue(tokenScope.replace(/\/\.default$/, ''));
    const login = (password: string) =>
      within(postgres.connection({ user: name, password }), async (client) => {
        const { rows } = await client.query<{ who: string }>('SELECT current_user AS who');
        return rows[0]?.who;
      });
    const first = await issue();
    expect(await login(first)).toBe(name);
    const second = await issue();
    expect(await login(second)).toBe(name);
    await expect(login(first)).rejects.toThrow('password authentication failed');
    await expect(login(await azure.directory.issue('https://management.azure.com'))).rejects.toThrow(
      'password authentication failed',
    );
    azure.directory.removeMember(objectId, azure.directory.options.client.objectId);
    await expect(login(await issue())).rejects.toThrow('password authentication failed');
    expect(postgres.log()).not.toContain(second);
  });
});

describe('a testbed with a replica', () => {
  it("is searched for secrets in the replica's log too, even after the replica was deleted", async ({
    skip,
  }) => {
    skip(missing !== undefined, missing);
    if (pair === undefined) return skip(true, whyNoOwn('replica'));
    const secrets = new Secrets();
    const settings = environments.changed(environments.inputOf(pair));
    const name = settings.replica?.name ?? '';
    const testbed = await Testbed.build({ settings, secrets });
    try {
      const { behind, azure } = testbed;
      behind.knowReplica(name, settings.server.name);
      const standby = await behind.serverOf(name);
      if (!standby) throw new Error('this environment has a replica');
      const secret = azure.directory.options.clientSecret;
      await within(administration(standby), (client) =>
        client.query(`SELECT ${pg.escapeLiteral(secret)}::int`),
      ).catch(() => undefined);
      const leak = { what: 'the client secret', where: `the log of ${name}` };
      expect(await new LeakSearch(secrets).search(testbed, [])).toEqual([leak]);
      await behind.events({ kind: 'deleted', server: `/servers/${name}` });
      expect(await new LeakSearch(secrets).search(testbed, [])).toEqual([leak]);
    } finally {
      await testbed.close();
    }
  });
});

describe('a sandbox that is closed', () => {
  it('closes all other parts if one part does not close, and names that part', async ({ skip }) => {
    skip(missing !== undefined, missing);
    const sandbox = await Sandbox.open({ environment: ownNearest('noReplica'), quick: true });
    const { azure, postgres, project: scratch } = sandbox;
    const connection = administration(postgres);
    const stop = azure.stop;
    azure.stop = () => Promise.reject(new Error('the port hangs'));
    try {
      await expect(sandbox.close()).rejects.toThrow(
        'These parts did not close: the local Azure: the local Azure: the port hangs.',
      );
      expect(existsSync(scratch.root)).toBe(false);
      expect(existsSync(postgres.dataDirectory)).toBe(false);
      await expect(within(connection, async () => undefined)).rejects.toThrow('ECONNREFUSED');
      await sandbox.close();
    } finally {
      await stop();
    }
  });
});
