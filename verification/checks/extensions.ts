import { extension } from '../../azure/extensions.ts';
import { type CheckInput, checksOf, type Finding } from '../check.ts';
import { createdExtensions } from '../drift/manifest.ts';
import { schema } from '../model.ts';
import { blind, counted, judge, skip } from '../outcome.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** Created only in the database that holds the schedules. */
const scheduler = 'pg_cron';

/** Extensions that reach other servers or run untrusted code. */
const outbound = ['dblink', 'postgres_fdw', 'file_fdw', 'plperlu', 'plpython3u', 'pltclu', 'adminpack', 'lo'];

/** The extensions of migrations and settings; on a server that is not Azure's, those that it offers. */
function wanted(input: CheckInput): readonly string[] {
  const { snapshot, deployment } = input;
  const names = new Set<string>([...createdExtensions(input), ...(deployment?.extensions ?? [])]);
  const offered = new Set(snapshot.availableExtensions);
  return [...names].filter((name) => snapshot.server.isAzure || offered.has(name)).sort();
}

const libraryOf = (name: string) => extension(name)?.preload;

/** Members of a list setting, in lower case and without quotes; undefined if the login may not read it. */
export function listSetting(snapshot: Snapshot, name: string): readonly string[] | undefined {
  return snapshot.settings
    .get(name)
    ?.value.split(',')
    .map((entry) => entry.trim().replace(/^"|"$/g, '').toLowerCase())
    .filter((entry) => entry !== '');
}

export const checks = checksOf('extensions', [
  {
    id: 'EXT-001',
    name: 'requested-extensions-created',
    loses: 'availability',
    title: 'Every requested extension is created',
    inspects:
      'pg_extension against the extensions of migrations and deployment; the checks of schedules cover pg_cron',
    why: 'Code that needs the extension fails at its first call, not at deployment.',
    remedy: 'Run llama-db post-deploy, which creates it once azure.extensions allows it.',
    source: 'migrations/0001_extensions.sql',
    run: (input) => {
      const created = new Set(input.snapshot.extensions.map(({ name }) => name));
      const names = wanted(input).filter((name) => name !== scheduler);
      if (names.length === 0) return skip('neither a schema manifest nor a deployment names an extension');
      return judge(
        names.join(', '),
        names
          .filter((name) => !created.has(name))
          .map((name) => ({ object: `extension ${name}`, detail: 'is not created' })),
      );
    },
  },
  {
    id: 'EXT-002',
    name: 'extensions-outside-public-and-llama',
    loses: 'barrier',
    title: `No extension is in schema public or ${schema}`,
    inspects: 'pg_extension.extnamespace',
    why: 'PUBLIC may execute the functions of an extension. In a schema that every role may use, tenants can call all of them.',
    remedy:
      'DROP EXTENSION and create it WITH SCHEMA extensions. Azure does not support ALTER EXTENSION … SET SCHEMA.',
    source: 'splinter 0014; Microsoft Learn, Extensions (errors)',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.extensions.length, 'extension'),
        snapshot.extensions
          .filter((extension) => ['public', schema].includes(extension.schema))
          .map((extension) => ({
            object: `extension ${extension.name}`,
            detail: `is in schema ${extension.schema}`,
          })),
      ),
  },
  {
    id: 'EXT-003',
    name: 'extensions-up-to-date',
    loses: 'upkeep',
    title: 'Every extension has the default version of the server',
    inspects: 'pg_extension.extversion against the default version of pg_available_extensions',
    why: 'After a server upgrade the SQL of an extension stays at its old version, without later fixes, until it is updated.',
    remedy: 'ALTER EXTENSION … UPDATE.',
    source: 'splinter 0022',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.extensions.length, 'extension'),
        snapshot.extensions
          .filter(({ version, newestVersion }) => newestVersion !== null && version !== newestVersion)
          .map(({ name, version, newestVersion }) => ({
            object: `extension ${name}`,
            detail: `is ${version}, the default is ${newestVersion}`,
          })),
      ),
  },
  {
    id: 'EXT-004',
    name: 'requested-extensions-allowed',
    loses: 'availability',
    title: 'azure.extensions allows every requested extension',
    inspects: 'server parameter azure.extensions',
    why: 'Azure refuses CREATE EXTENSION for an extension that is not in the list, even with IF NOT EXISTS for an existing one: the next deployment fails.',
    remedy: 'Add it to server.extensions in the environment file and deploy.',
    source: 'Microsoft Learn, Allow extensions',
    run: (input) => {
      const allowed = listSetting(input.snapshot, 'azure.extensions');
      if (!allowed) return skip("the server is not Azure's: it has no parameter azure.extensions");
      return judge(
        `azure.extensions lists ${counted(allowed.length, 'extension')}`,
        wanted(input)
          .filter((name) => !allowed.includes(name))
          .map((name) => ({ object: `extension ${name}`, detail: 'is not listed' })),
      );
    },
  },
  {
    id: 'EXT-005',
    name: 'extension-libraries-preloaded',
    loses: 'availability',
    title: 'The libraries of all requested extensions are preloaded',
    inspects: 'server parameter shared_preload_libraries',
    why: 'Without its library an extension exists but records, audits or schedules nothing, and calls to it fail.',
    remedy: 'Deploy the environment: server.extensions adds the library, and a restart loads it.',
    source: 'Microsoft Learn, Extensions (considerations)',
    run: (input) => {
      const loaded = listSetting(input.snapshot, 'shared_preload_libraries');
      if (!loaded) return blind('the login may not read shared_preload_libraries');
      const needed = wanted(input).filter((name) => libraryOf(name) !== undefined);
      return judge(
        `shared_preload_libraries has ${loaded.join(', ')}`,
        needed
          .filter((name) => !loaded.includes(libraryOf(name) ?? name))
          .map((name) => ({
            object: `extension ${name}`,
            detail: `library ${libraryOf(name)} is not loaded`,
          })),
      );
    },
  },
  {
    id: 'EXT-006',
    name: 'no-outbound-extension',
    loses: 'barrier',
    title: 'No extension reaches outside the database',
    inspects: `whether one of ${outbound.join(', ')} is created`,
    why: 'Such an extension opens connections or files with the rights of the server, and no policy applies. A major upgrade on Azure refuses some of them.',
    remedy: 'DROP EXTENSION ….',
    source: 'Microsoft Learn, Major version upgrades (unsupported extensions)',
    run: ({ snapshot, deployment }) => {
      const asked = new Set(deployment?.extensions ?? []);
      return judge(
        counted(snapshot.extensions.length, 'extension'),
        snapshot.extensions.flatMap(({ name }): Finding[] =>
          outbound.includes(name) && !asked.has(name)
            ? [{ object: `extension ${name}`, detail: 'is created but not in the settings' }]
            : [],
        ),
      );
    },
  },
]);
