import { extension } from '../../azure/extensions.ts';
import { type CheckInput, checksOf, type Finding } from '../check.ts';
import { createdExtensions } from '../drift/manifest.ts';
import { schema } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Snapshot } from '../snapshot/facts.ts';

/** pg_cron is created in the one database that it schedules from. */
const elsewhere = 'pg_cron';

/** Reach other servers, or run untrusted code: none of them is asked for here. */
const dangerous = [
  'dblink',
  'postgres_fdw',
  'file_fdw',
  'plperlu',
  'plpython3u',
  'pltclu',
  'adminpack',
  'lo',
];

/** Extensions that migrations and settings ask for; on a server that is not Azure's, those that it carries. */
function wanted(input: CheckInput): readonly string[] {
  const { snapshot, deployment } = input;
  const names = new Set<string>([...createdExtensions(input), ...(deployment?.extensions ?? [])]);
  const carried = new Set(snapshot.availableExtensions);
  return [...names].filter((name) => snapshot.server.isAzure || carried.has(name)).sort();
}

const libraryOf = (name: string) => extension(name)?.preload;

/** Members of a setting that is a list: lower case, without quotes. */
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
    severity: 'high',
    title: 'Every extension that is asked for is created',
    inspects:
      'pg_extension against what the migrations and the deployment ask for; pg_cron is looked for with the schedules',
    why: 'What needs the extension fails when it is first called, not when it is deployed.',
    remedy: 'llama-db post-deploy creates it, once azure.extensions allows it.',
    source: 'migrations/0001_extensions.sql',
    run: (input) => {
      const there = new Set(input.snapshot.extensions.map(({ name }) => name));
      const names = wanted(input).filter((name) => name !== elsewhere);
      if (names.length === 0) return skip('neither a schema manifest nor a deployment names an extension');
      return judge(
        names.join(', '),
        names
          .filter((name) => !there.has(name))
          .map((name) => ({ object: `extension ${name}`, detail: 'is not created' })),
      );
    },
  },
  {
    id: 'EXT-002',
    name: 'extensions-outside-public-and-llama',
    severity: 'medium',
    title: `Extensions keep out of schemas public and ${schema}`,
    inspects: 'pg_extension.extnamespace',
    why: 'Their functions are executable by PUBLIC; in a schema that everybody may use, tenants can call all of them.',
    remedy: 'DROP EXTENSION and create it WITH SCHEMA extensions: Azure has no ALTER EXTENSION … SET SCHEMA.',
    source: 'splinter 0014; Microsoft Learn, Extensions (errors)',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.extensions.length, 'extension'),
        snapshot.extensions
          .filter((extension) => ['public', schema].includes(extension.schema))
          .map((extension) => ({
            object: `extension ${extension.name}`,
            detail: `lies in schema ${extension.schema}`,
          })),
      ),
  },
  {
    id: 'EXT-003',
    name: 'extensions-up-to-date',
    severity: 'medium',
    title: 'Extensions have the version that the server brings',
    inspects: 'pg_extension.extversion against the default version of pg_available_extensions',
    why: 'After an upgrade of the server the SQL of an extension stays old until it is updated, with the mistakes that were mended since.',
    remedy: 'ALTER EXTENSION … UPDATE.',
    source: 'splinter 0022',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.extensions.length, 'extension'),
        snapshot.extensions
          .filter(({ version, newestVersion }) => newestVersion !== null && version !== newestVersion)
          .map(({ name, version, newestVersion }) => ({
            object: `extension ${name}`,
            detail: `is ${version}, the server brings ${newestVersion}`,
          })),
      ),
  },
  {
    id: 'EXT-004',
    name: 'requested-extensions-allowed',
    severity: 'high',
    title: 'azure.extensions allows every extension that is asked for',
    inspects: 'server parameter azure.extensions',
    why: 'CREATE EXTENSION is refused for what it does not list, also IF NOT EXISTS for one that is there: the next deployment fails.',
    remedy: 'Add it to server.extensions in the environment file and deploy.',
    source: 'Microsoft Learn, Allow extensions',
    run: (input) => {
      const allowed = listSetting(input.snapshot, 'azure.extensions');
      if (!allowed) return skip("the server has no parameter azure.extensions: it is not Azure's");
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
    severity: 'high',
    title: 'Extensions that need a library have it loaded',
    inspects: 'server parameter shared_preload_libraries',
    why: 'Without its library the extension exists and records, audits or schedules nothing; calls of it fail.',
    remedy:
      'Deploy the environment: the library comes with server.extensions, and takes effect with a restart.',
    source: 'Microsoft Learn, Extensions (considerations)',
    run: (input) => {
      const loaded = listSetting(input.snapshot, 'shared_preload_libraries');
      if (!loaded) return skip('the login may not read shared_preload_libraries');
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
    severity: 'medium',
    title: 'No extension leads out of the database',
    inspects: `whether one of ${dangerous.join(', ')} is created`,
    why: "It opens connections or files with the server's own rights, which no policy sees; and a major upgrade of Azure's server refuses some of them.",
    remedy: 'DROP EXTENSION ….',
    source: 'Microsoft Learn, Major version upgrades (unsupported extensions)',
    run: ({ snapshot, deployment }) => {
      const asked = new Set(deployment?.extensions ?? []);
      return judge(
        counted(snapshot.extensions.length, 'extension'),
        snapshot.extensions.flatMap(({ name }): Finding[] =>
          dangerous.includes(name) && !asked.has(name)
            ? [{ object: `extension ${name}`, detail: 'is created and in no settings' }]
            : [],
        ),
      );
    },
  },
]);
