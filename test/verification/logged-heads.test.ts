/** Heads of the audit trail that are read from the log of a real server, through the query of a workspace. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { logHead, readLoggedHeads } from '../../database/audit/logged-heads.ts';
import { formatHead, type Head, readHead } from '../../database/audit/seals.ts';
import type { AzureAccess } from '../../database/azure-access.ts';
import type { Deployment } from '../../database/deployment.ts';
import { runChecks } from '../../verification/run.ts';
import { type DeployedAzure, deployedAzure } from './azure-fixture.ts';
import { applicationLogin, startVerifiedServer, type VerifiedServer } from './fixture.ts';

let verified: VerifiedServer;
let deployed: DeployedAzure;
let deployment: Deployment;
let access: AzureAccess;
let head: Head;
const forged = `4711:${'f'.repeat(64)}`;

beforeAll(async () => {
  verified = await startVerifiedServer();
  const { server, superuser } = verified;
  await superuser.query("ALTER SYSTEM SET log_line_prefix = '%t-%c-user=%u,db=%d,app=%a,client=%h:'");
  await superuser.query('SELECT pg_reload_conf()');
  deployed = await deployedAzure((name) => (name === 'llama-mapper-production' ? server.log() : undefined));
  deployment = { ...deployed.deployment, administrator: server.administrator };
  const token = await deployed.azure.directory.issue('https://api.loganalytics.azure.com');
  access = {
    credential: { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) },
    options: deployed.access.options ?? {},
  };
  const found = await readHead(superuser);
  if (!found) throw new Error('the trail has no head');
  head = found;
});
afterAll(async () => {
  await deployed.stop();
  await verified.stop();
});

it('has the head that an administrator wrote, and none that the application forged', async () => {
  const { server, superuser } = verified;
  await superuser.query(`ALTER ROLE ${applicationLogin} PASSWORD 'forger'`);
  const connection = { ...server.connection('migrator'), user: applicationLogin, password: 'forger' };
  const forger = new pg.Client({
    ...connection,
    application_name: `x-user=${server.administrator},db=llama_mapper,app=`,
  });
  await forger.connect();
  await logHead({ client: forger }, forged);
  await forger.query(
    `DO $$ BEGIN RAISE LOG E'x\n2026-11-27 10:00:00 UTC-1-user=${server.administrator},db=d:LOG:  llama-db audit head ${forged}'; END $$`,
  );
  await forger.end();

  const administrator = new pg.Client(server.connection('migrator'));
  await administrator.connect();
  await logHead({ client: administrator }, formatHead(head));
  await administrator.end();

  await expect
    .poll(() => server.log().includes(`LOG:  llama-db audit head ${formatHead(head)}`), { timeout: 20_000 })
    .toBe(true);
  expect(server.log()).toContain(`llama-db audit head ${forged}`);
  expect(await readLoggedHeads(deployment, access)).toEqual({
    value: [
      {
        ...head,
        origin: expect.stringContaining(`the server log (${server.administrator}, `),
        at: expect.any(Date),
      },
    ],
  });
});

it('is compared with the chain', async () => {
  const { migrator, superuser } = verified;
  const check = async () => {
    const logged = await readLoggedHeads(deployment, access);
    const { checks } = await runChecks(
      { client: migrator, loggedHeads: async () => logged },
      { only: ['AUD-029'] },
    );
    return checks[0]?.outcome;
  };
  expect(await check()).toMatchObject({ status: 'passed', inspected: '1 logged head' });
  await superuser.query(
    `SET session_replication_role = replica; UPDATE llama.audit_seals SET row_count = row_count + 1 WHERE number = ${head.number}`,
  );
  expect(await check()).toMatchObject({
    status: 'failed',
    findings: [{ detail: expect.stringContaining('differs from the head of the server log') }],
  });
});

it('may be lost by a restore that the file of heads states, until the next head in it', async () => {
  const { server, migrator } = verified;
  // Seal 4711 was lost, as if the server had been restored to an hour ago.
  const administrator = new pg.Client(server.connection('migrator'));
  await administrator.connect();
  await logHead({ client: administrator }, forged);
  await administrator.end();
  const lost = `-user=${server.administrator},db=llama_mapper`;
  await expect
    .poll(
      () =>
        server
          .log()
          .split('\n')
          .some((line) => line.includes(lost) && line.endsWith(forged)),
      {
        timeout: 20_000,
      },
    )
    .toBe(true);
  const folder = mkdtempSync(join(tmpdir(), 'llama-db-heads-'));
  const file = join(folder, 'heads.txt');
  const hours = (offset: number) => new Date(Date.now() + offset * 3_600_000).toISOString();
  const findings = async (text: string) => {
    writeFileSync(file, text);
    const logged = await readLoggedHeads(deployment, access, { LLAMA_DB_AUDIT_HEADS: file });
    const { checks } = await runChecks(
      { client: migrator, loggedHeads: async () => logged },
      { only: ['AUD-029'] },
    );
    const [result] = checks;
    return result?.outcome.status === 'failed'
      ? result.outcome.findings.filter(({ detail }) => detail.includes('seal 4711'))
      : [];
  };
  expect(await findings('')).toMatchObject([{ detail: expect.stringContaining('state it') }]);
  expect(await findings(`restored-to ${hours(-1)}\n`)).toEqual([]);
  expect(await findings(`restored-to ${hours(-1)}\n${hours(1)} ${formatHead(head)}\n`)).toEqual([]);
  // It was logged after the moment, or after the first head of the restored server: then nothing excuses it.
  expect(await findings(`restored-to ${hours(1)}\n`)).toHaveLength(1);
  expect(await findings(`restored-to ${hours(-2)}\n${hours(-1)} ${formatHead(head)}\n`)).toHaveLength(1);
  rmSync(folder, { recursive: true });
});

it('is skipped by name if the workspace refuses the caller, or if there is none', async () => {
  const stranger: AzureAccess = {
    ...access,
    credential: {
      getToken: async () => ({ token: 'of-nobody', expiresOnTimestamp: Date.now() + 3_600_000 }),
    },
  };
  const refused = await readLoggedHeads(deployment, stranger);
  expect(refused).toMatchObject({ unreadable: expect.stringMatching(/refused the query: .*HTTP 401/) });
  const none = await readLoggedHeads({ ...deployment, surroundings: undefined }, access);
  expect(none).toEqual({ unreadable: 'the settings have no workspace for logs', absent: true });
  const { checks } = await runChecks(
    { client: verified.migrator, loggedHeads: async () => refused },
    { only: ['AUD-029'] },
  );
  expect(checks[0]?.outcome).toMatchObject({ status: 'skipped', blind: true });
});
