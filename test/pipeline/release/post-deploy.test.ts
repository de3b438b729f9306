import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveTarget } from '../../../database/target.ts';
import { within } from '../../../local/postgres/bootstrap.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';
import { postDeploy } from '../../../pipeline/release/post-deploy.ts';

let server: LocalPostgres;
beforeAll(async () => {
  server = await startPostgres({ databases: ['llama_mapper'] });
});
afterAll(() => server.stop());

async function run() {
  const lines: string[] = [];
  const line = (text: string) => void lines.push(text);
  const target = await resolveTarget({ url: server.url('migrator') }, {});
  const result = await postDeploy(target, { reporter: { line, warn: line } });
  return { ...result, lines };
}

const asSuperuser = (sql: string) =>
  within(server.connection('superuser'), async (client) => (await client.query(sql)).rows);

describe('the post-deploy step', () => {
  it('compares the database with the schema manifest', async () => {
    expect(await run()).toMatchObject({ outcome: 'verified', checks: { failed: 0 } });
    // Only the drift checks see these two.
    await asSuperuser(
      `ALTER TABLE llama.tenant_configs ALTER COLUMN audit_level DROP DEFAULT;
       COMMENT ON TABLE llama.tenant_configs IS 'changed by hand'`,
    );
    await expect(run()).rejects.toMatchObject({
      code: 'post-deploy/findings',
      why: '1 at high or above: DRI-002 Every column is as the migrations make it, and no other exists',
    });
    expect(
      await asSuperuser('SELECT outcome, checks_failed FROM llama.releases ORDER BY id DESC LIMIT 1'),
    ).toEqual([{ outcome: 'findings', checks_failed: 2 }]);
  });

  it('passes again once the difference is gone', async () => {
    await asSuperuser(
      `ALTER TABLE llama.tenant_configs ALTER COLUMN audit_level SET DEFAULT 'standard';
       COMMENT ON TABLE llama.tenant_configs IS NULL`,
    );
    expect(await run()).toMatchObject({ outcome: 'verified', checks: { failed: 0 } });
  });
});
