/**
 * A change, rehearsed: the sources of a git ref are deployed to a local Azure, and this checkout on top of them, while a
 * client reads and writes through the host names of the environment.
 */
import type pg from 'pg';
import { Fault } from '../../core/fault.ts';
import { sources as madeBy } from '../../core/sources.ts';
import { duration, messageOf } from '../../core/text.ts';
import { listMigrations, migrationsDirectory } from '../../database/migrator/files.ts';
import { environments } from '../../environments/index.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { thenClose } from '../../local/closing.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { setPassword } from '../../local/postgres/password.ts';
import { randomPassword } from '../../local/postgres/server.ts';
import { runVerify, type Verified } from '../sandbox/commands.ts';
import { deploymentOf } from '../sandbox/environments.ts';
import { reasonOf, Sandbox } from '../sandbox/sandbox.ts';
import type { DeployRun } from '../terraform/deployer.ts';
import { findProvider, findTerraform } from '../terraform/installation.ts';
import { timelineOf } from '../timeline/model.ts';
import { checkOut, checkout, settingsOf } from './base.ts';
import { WatchingClient } from './client.ts';
import { LockWatcher } from './locks.ts';
import { type Preview, resultOf, type Seen } from './result.ts';
import { type Filled, fill, readsOf, type Table, tablesFor, writesOf } from './statements.ts';

export interface PreviewOptions {
  readonly environment: string;
  /** Branch, tag or commit whose sources are deployed now. */
  readonly from: string;
  /** Rows to fill each table with before a migration. @default 10000 */
  readonly rows?: number;
  /** Deploy metric alerts and locks too, each of which azurerm polls for two minutes. @default false */
  readonly complete?: boolean;
  readonly signal: AbortSignal;
  /** Called with each line of progress. */
  readonly log: (line: string) => void;
  /** Called with the current activity, which replaces the one before. @default - nothing */
  readonly progress?: ((text: string) => void) | undefined;
}

/** Milliseconds for which the clients work before the change and after it. */
const calm = 500;

/**
 * @throws Fault `preview/…` if the base cannot be deployed; a change that is refused is part of the result
 */
export async function preview(options: PreviewOptions): Promise<Preview> {
  const { log, signal } = options;
  const environment = environments.nameOf(options.environment);
  findTerraform();
  await findProvider();
  const base = await checkOut(options.from);
  const open: { readonly name: string; close(): Promise<void> }[] = [
    { name: 'the sources of the base', close: () => base.close() },
  ];
  try {
    return await thenClose(
      async () => {
        const before = await settingsOf(base, environment);
        const after = environments.inputOf(environment);
        const settings = environments.changed(after);
        log(`Base: ${base.ref} (${base.commit})`);
        const sandbox = await Sandbox.open({
          environment,
          quick: options.complete !== true,
          sources: { folder: base.folder, input: before },
          leaveOut: options.complete ? [] : leftOutOf(before, after),
          laterHostNames: hostNames(deploymentOf(settings)),
          sharesProvider: true,
          startsReplicas: true,
          onOutput: ({ text }) => options.progress?.(text.slice(0, 100)),
        });
        open.unshift({ name: 'the sandbox', close: () => sandbox.close() });
        // A provider that serves several runs is not stopped with one of them: the sandbox ends with all its programs.
        const interrupt = () => void sandbox.close().catch(() => undefined);
        signal.addEventListener('abort', interrupt, { once: true });
        signal.throwIfAborted();
        const preparation = await prepare(sandbox, base.folder, options);
        const clients = await clientsOf(sandbox, preparation);
        const baseline = await verified(sandbox);
        const seen = await change(sandbox, clients, async () => {
          await sandbox.take({ folder: checkout, input: after });
          return sandbox.deploy();
        });
        log(
          `Change: ${seen.run.exitCode === 0 ? 'deployed' : 'refused'} in ${duration(seen.run.milliseconds)}`,
        );
        const isDeployed = seen.run.exitCode === 0;
        const second = isDeployed ? await sandbox.diff() : undefined;
        const verification = isDeployed ? await verified(sandbox) : undefined;
        await sandbox.assertInvariants();
        const result = resultOf({
          ...{ environment, quick: sandbox.quick, rows: options.rows ?? defaultRows },
          base: { ref: base.ref, commit: base.commit, hasOtherPackages: base.hasOtherPackages },
          change: madeBy().commit,
          ...{ seen, baseline, second, verification },
          filled: preparation.filled,
          pending: preparation.pending,
          timeline: timelineOf(sandbox, `Preview of ${environment}`),
        });
        const leaks = sandbox.secrets.search('the report', JSON.stringify(result));
        if (leaks.length > 0)
          throw new Fault(
            'preview/secret-in-report',
            'The report of the preview contains a secret and was not written',
            leaks.map(({ what }) => what).join('; '),
            'This is a defect of rehearsal/preview/: leave the named secret out there.',
          );
        return result;
      },
      () => open,
    );
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Fault(
      'preview/interrupted',
      'Interrupted',
      'the preview received a signal',
      'Nothing was left running.',
      { exitCode: 130, cause: error },
    );
  } finally {
    options.progress?.('');
  }
}

export const defaultRows = 10_000;

const hostNames = ({ primary, replica, endpoints }: ReturnType<typeof deploymentOf>) =>
  [primary.host, replica?.host, endpoints?.writer, endpoints?.reader].filter((name) => name !== undefined);

/** Types that no client notices, and that azurerm polls for up to half a minute. */
function leftOutOf(...inputs: readonly EnvironmentInput[]): readonly string[] {
  // Azure refuses to enrol a server in backups without the vault's role.
  const needsRoles = inputs.some(({ longTermBackup }) => longTermBackup !== undefined);
  return ['azurerm_monitor_diagnostic_setting', ...(needsRoles ? [] : ['azurerm_role_assignment'])];
}

interface Preparation {
  readonly login: { readonly user: string; readonly password: string };
  readonly tables: readonly Table[];
  readonly pending: readonly string[];
  readonly filled: readonly Filled[];
}

/** Deploys the base, lets the application's login in with a password, and fills the tables if a migration waits. */
async function prepare(
  sandbox: Sandbox,
  folder: string,
  { log, rows = defaultRows, complete }: PreviewOptions,
): Promise<Preparation> {
  if (!complete) await createGroups(sandbox);
  const run = await sandbox.deploy();
  if (run.exitCode !== 0)
    throw new Fault(
      'preview/base-not-deployed',
      'The base cannot be deployed to the local Azure',
      reasonOf(run),
      `Rehearse it in a checkout of its own: npm run rehearse -- ${sandbox.environment} --quick.`,
    );
  log(`Deployed the base (${duration(run.milliseconds)})`);
  const { deployment, secrets } = sandbox;
  const login = deployment.logins.find(({ role }) => role === 'application_role');
  if (!login)
    throw new Fault(
      'preview/no-application-login',
      `Environment ${sandbox.environment} has no login for the application`,
      'none of database.logins has the role application_role, as which the client of a preview works',
      `Add one to environments/${sandbox.environment}.ts.`,
    );
  const password = randomPassword();
  secrets.add('the password of the client', password);
  const applied = new Set(listMigrations(`${folder}/migrations`).map(({ file }) => file));
  const pending = listMigrations(migrationsDirectory).flatMap(({ file }) =>
    applied.has(file) ? [] : [file],
  );
  const writer = await sandbox.writer();
  return within(writer.connection('superuser', { database: deployment.database }), async (client) => {
    // A vanilla PostgreSQL verifies no token (docs/rehearsal.md).
    await setPassword(client, login.name, password);
    const tables = await tablesFor(client, login.name);
    const filled = pending.length > 0 ? await fill(client, tables, rows) : [];
    if (filled.length > 0) log(`Filled ${filled.length} tables with ${rows} rows each`);
    return { login: { user: login.name, password }, tables, pending, filled };
  });
}

/** Creates the resource groups by hand and imports them: azurerm polls for 20 s for one that it created itself. */
async function createGroups(sandbox: Sandbox): Promise<void> {
  const document = JSON.parse(await sandbox.synthesized());
  const type = 'azurerm_resource_group';
  document.import = [];
  for (const [name, group] of Object.entries<Record<string, string>>(document.resource[type] ?? {})) {
    const id = `/subscriptions/${sandbox.azure.subscriptionId}/resourceGroups/${group['name']}`;
    sandbox.azure.state.put(id, {
      location: group['location'] ?? '',
      properties: { provisioningState: 'Succeeded' },
    });
    document.import.push({ to: `${type}.${name}`, id });
  }
  await (await sandbox.terraform()).replace(JSON.stringify(document, undefined, 2));
}

/** A writer, and a reader if the environment has a host for reads. */
async function clientsOf(
  sandbox: Sandbox,
  { login, tables }: Preparation,
): Promise<readonly WatchingClient[]> {
  const { primary, replica, endpoints, database } = sandbox.deployment;
  const { PGPORT: port, PGSSLROOTCERT: authority = '' } = sandbox.variables;
  const { readFileSync } = await import('node:fs');
  const connection = (host: string): pg.ClientConfig => ({
    ...login,
    host: '127.0.0.1',
    port: Number(port),
    database,
    application_name: 'preview client',
    ssl: { ca: readFileSync(authority, 'utf8'), servername: host },
  });
  const writes = endpoints?.writer ?? primary.host;
  const reads = endpoints?.reader ?? replica?.host;
  const statements = await within(connection(writes), (client) => writesOf(client, tables));
  return [
    new WatchingClient({
      ...{ name: 'writer', host: writes, connection: connection(writes) },
      statements: [...statements, ...readsOf(tables)],
    }),
    ...(reads === undefined
      ? []
      : [
          new WatchingClient({
            ...{ name: 'reader', host: reads, connection: connection(reads), statements: readsOf(tables) },
          }),
        ]),
  ];
}

/** Deploys while clients work and locks are watched. */
async function change(
  sandbox: Sandbox,
  clients: readonly WatchingClient[],
  deploy: () => Promise<DeployRun>,
): Promise<Seen> {
  const database = sandbox.deployment.database;
  const locks = new LockWatcher(async () => (await sandbox.writer()).connection('superuser', { database }));
  for (const client of clients) await client.start();
  locks.start();
  await pause(calm);
  const startedAt = Date.now();
  try {
    const run = await deploy();
    await pause(calm);
    const reports = await Promise.all(clients.map((client) => client.stop()));
    const happened = sandbox.happened.filter((one) => one.startedAt >= startedAt);
    return { startedAt, endedAt: Date.now(), run, clients: reports, locks: await locks.stop(), happened };
  } finally {
    await Promise.all([...clients.map((client) => client.stop()), locks.stop()]).catch(() => undefined);
  }
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The findings of `llama-db verify`, or why it has none. */
async function verified(sandbox: Sandbox): Promise<Verified | string> {
  try {
    // The clients write for a minute, and autovacuum analyzes later: a table without statistics is no finding about the change.
    const writer = await sandbox.writer();
    const connection = writer.connection('superuser', { database: sandbox.deployment.database });
    await within(connection, (client) => client.query('ANALYZE'));
    return await runVerify(sandbox);
  } catch (error) {
    if (error instanceof Fault) return error.why;
    return messageOf(error);
  }
}
