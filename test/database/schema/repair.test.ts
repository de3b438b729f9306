// Duration: 30 s
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrationsDirectory } from '../../../database/migrator/files.ts';
import { describeSchema } from '../../../database/schema/describe.ts';
import { expectedOn } from '../../../database/schema/manifest.ts';
import { readManifest } from '../../../database/schema/manifest-file.ts';
import { loadParser } from '../../../database/schema/policy.ts';
import { within } from '../../../local/postgres/bootstrap.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';
import { differences } from '../../../verification/drift/compare.ts';
import { run } from '../../commands/run.ts';
import { ask } from '../../support/application.ts';

let server: LocalPostgres;
const url = () => server.url('migrator');
const memberships = `SELECT m.roleid::regrole::text AS role, m.inherit_option, m.set_option FROM pg_auth_members AS m
  WHERE m.member = 'database_admins'::regrole AND (m.inherit_option OR m.set_option) ORDER BY 1`;
let before: readonly unknown[];

beforeAll(async () => {
  await loadParser();
  server = await startPostgres({ databases: ['llama_mapper'] });
  expect((await run(['migrate', '--url', url()])).code).toBe(0);
  before = await ask(server.url('superuser'), memberships);
}, 60_000);
afterAll(() => server.stop());

/** Differences in roles, owners, grants, default privileges and leaves. */
async function left(): Promise<readonly string[]> {
  const manifest = readManifest(migrationsDirectory);
  const found = await within(server.connection('migrator'), describeSchema);
  const expected = manifest && expectedOn(manifest, found.major);
  if (!expected) throw new Error('migrations/schema.json is missing');
  return (['roles', 'owners', 'privileges', 'defaultPrivileges', 'leaves'] as const).flatMap((area) =>
    differences(expected, found, area).map(({ object, detail }) => `${object}: ${detail}`),
  );
}

describe('llama-db repair', () => {
  beforeEach(async () => expect(await left()).toEqual([]));

  it.each([
    ['a table of another owner', 'ALTER TABLE llama.tenant_configs OWNER TO database_admins'],
    ['a table with its sequence', 'ALTER TABLE llama.audit_trail OWNER TO database_admins'],
    ['a leaf', 'ALTER TABLE llama.{leaf} OWNER TO database_admins'],
    ['a function of a group role', 'ALTER FUNCTION llama.write_audit() OWNER TO database_admins'],
    ['a function of another group role', 'ALTER FUNCTION llama.write_audit() OWNER TO audit_sealer'],
    ['the summary', 'ALTER MATERIALIZED VIEW llama.tenant_performance_summary OWNER TO llama_owner'],
    ['the schema', 'ALTER SCHEMA llama OWNER TO database_admins'],
    ['a missing grant', 'REVOKE SELECT ON llama.tenant_configs FROM analytics_role'],
    ['a foreign grant', 'GRANT TRUNCATE ON llama.tenant_configs TO PUBLIC'],
    [
      'a foreign grant to an odd name',
      'CREATE ROLE "a ""to"" b"; GRANT SELECT ON llama.tenant_configs TO "a ""to"" b"',
    ],
    ['a grant option', 'GRANT SELECT ON llama.tenant_configs TO analytics_role WITH GRANT OPTION'],
    [
      'grants on columns',
      'GRANT UPDATE (sequence) ON llama.audit_trail TO admin_role; REVOKE SELECT (user_agent) ON llama.audit_trail FROM application_role',
    ],
    ['a grant on a sequence', 'REVOKE USAGE ON SEQUENCE llama.audit_sequence FROM audit_writer'],
    ['a grant on a function', 'GRANT EXECUTE ON FUNCTION llama.write_audit() TO PUBLIC'],
    ['a grant on a leaf', 'GRANT SELECT ON llama.{leaf} TO analytics_role'],
    [
      'grants on schemas and the database',
      'GRANT CREATE ON SCHEMA llama, public TO PUBLIC; GRANT TEMPORARY ON DATABASE llama_mapper TO PUBLIC',
    ],
    [
      'a lost default privilege',
      'ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC',
    ],
    [
      'foreign default privileges',
      'ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner IN SCHEMA llama GRANT SELECT ON TABLES TO analytics_role',
    ],
    ['a lost membership', 'REVOKE audit_writer FROM llama_owner GRANTED BY database_admins'],
  ])('puts back %s', async (_, sql) => {
    const [row] = (await ask(
      server.url('superuser'),
      "SELECT min(relname) AS leaf FROM pg_class WHERE relname ~ '^model_metrics_y[0-9]{4}m[0-9]{2}$'",
    )) as { leaf: string }[];
    await ask(server.url('superuser'), sql.replaceAll('{leaf}', row?.leaf ?? ''));
    expect(await left()).not.toEqual([]);
    const repaired = await run(['repair', '--yes', '--url', url()]);
    expect([repaired.code, repaired.stdout]).toEqual([0, expect.stringMatching(/, nothing remains$/m)]);
    expect(await left()).toEqual([]);
    expect(await ask(server.url('superuser'), memberships)).toEqual(before);
  });

  it('reports what the login may not put back, and puts back the rest', async () => {
    await ask(
      server.url('superuser'),
      'ALTER TABLE llama.model_metrics OWNER TO azuresu; REVOKE SELECT ON llama.tenant_configs FROM analytics_role',
    );
    const repaired = await run(['repair', '--yes', '--url', url()]);
    expect([repaired.code, repaired.stdout]).toEqual([
      1,
      expect.stringMatching(/not put back: llama\.model_metrics: must be owner/),
    ]);
    expect((await left()).filter((line) => line.includes('tenant_configs'))).toEqual([]);
    expect(await ask(server.url('superuser'), memberships)).toEqual(before);
    await ask(server.url('superuser'), 'ALTER TABLE llama.model_metrics OWNER TO llama_owner');
  });

  it('refuses a folder without a manifest', async () => {
    const { code, stderr } = await run(['repair', '--url', url(), '--migrations', 'docs']);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/\[repair\/no-manifest\]/)]);
  });
});
