// Duration: 40 s
/** The packed package, as an application installs it: contents, both module systems, first example, public surface. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ApplicationDatabase, applicationDatabase } from './fixture.ts';

const run = promisify(execFile);
const project = join(import.meta.dirname, '../..');

let application: string;
let installed: string;
let packed: readonly string[];
let testbed: ApplicationDatabase;

beforeAll(async () => {
  testbed = await applicationDatabase();
  application = mkdtempSync(join(tmpdir(), 'llama-application-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', application], {
    cwd: join(project, 'runtime'),
  });
  // The build prints before the JSON.
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  packed = files.map(({ path }: { path: string }) => path);
  installed = join(application, 'node_modules/@llama-mapper/database');
  mkdirSync(installed, { recursive: true });
  await run('tar', ['-xzf', join(application, filename), '-C', installed, '--strip-components=1']);
  for (const name of ['pg', 'cockatiel', '@opentelemetry', '@types'])
    symlinkSync(join(project, 'node_modules', name), join(application, 'node_modules', name));
  writeFileSync(join(application, 'package.json'), '{ "type": "module" }');
}, 120_000);

afterAll(async () => {
  rmSync(application, { recursive: true, force: true });
  await testbed.drop();
});

/** Runs a program of the application. @returns its output */
async function program(file: string, text: string): Promise<string> {
  writeFileSync(join(application, file), text);
  const url = new URL(`postgresql://localhost:${testbed.server.port}/${testbed.name}`);
  url.username = testbed.login.user;
  url.password = testbed.login.password;
  url.search = new URLSearchParams({ hostaddr: '127.0.0.1', sslrootcert: testbed.server.caFile }).toString();
  const env = { PATH: process.env['PATH'], DATABASE_URL: url.href };
  return (await run(process.execPath, [file], { cwd: application, env })).stdout;
}

it('contains its own modules and types, and neither sources nor tests', () => {
  for (const file of ['dist/index.js', 'dist/index.d.ts', 'dist/cjs/index.js', 'dist/cjs/index.d.ts'])
    expect(packed).toContain(file);
  expect(
    packed.filter(
      (file) =>
        !/^(dist\/.*\.(js|d\.ts)|dist\/cjs\/package\.json|package\.json|README\.md|CHANGELOG\.md)$/.test(
          file,
        ),
    ),
  ).toEqual([]);
});

it('has its version in the list of changes', () => {
  const { version } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  expect(readFileSync(join(installed, 'CHANGELOG.md'), 'utf8')).toContain(`\n## ${version}\n`);
});

it('encrypts in an application that has only this package and pg', async () => {
  const stdout = await program(
    'encrypt.js',
    `import { ConfigurationError } from '@llama-mapper/database';
    import { EncryptionError, LocalKey } from '@llama-mapper/database/encryption';
    const key = LocalKey.fromText(Buffer.alloc(32, 7).toString('base64'), 'the test');
    const wrapped = await key.wrap(Buffer.alloc(32, 1));
    const opened = await key.unwrap(wrapped);
    let code = '';
    try { LocalKey.fromText('too short', 'the test'); } catch (error) {
      if (error instanceof ConfigurationError) code = error.code;
    }
    process.stdout.write(JSON.stringify({ equal: opened.equals(Buffer.alloc(32, 1)), code, type: typeof EncryptionError }));
  `,
  );
  expect(JSON.parse(stdout)).toEqual({ equal: true, code: 'wrapping-key/unusable-file', type: 'function' });
});

it('stores records, and makes test databases, without the packages that only metrics need', async () => {
  const stdout = await program(
    'records.cjs',
    `const { Database, fromEnvironment } = require('@llama-mapper/database');
    const { StorageRecords } = require('@llama-mapper/database/records');
    const { processCollector } = require('@llama-mapper/database/monitoring');
    require('@llama-mapper/database/testing');
    (async () => {
      const db = new Database(fromEnvironment());
      const records = new StorageRecords(db.tenant('packed'), { encryption: 'off' });
      const record = { sourceDataHash: 'a'.repeat(64), mappedData: 1n, modelVersion: 'm', detectorType: 'd' };
      const { mappedData } = await records.get(await records.insert(record));
      const samples = await processCollector(db).collect();
      await db.close();
      process.stdout.write(typeof mappedData + ' ' + (samples.length > 0));
    })();`,
  );
  expect(stdout).toBe('bigint true');
});

it('runs the first example of its README, which has at most ten lines and ends by itself', async () => {
  const [, example = ''] =
    /```ts\n([\s\S]*?)```/.exec(readFileSync(join(installed, 'README.md'), 'utf8')) ?? [];
  expect(example.trim().split('\n').length).toBeLessThanOrEqual(10);
  // It has no types, so Node runs it as it stands.
  expect(await program('example.js', example)).toBe("[ { tenant_id: 'acme' } ]\n");
});

it('has types for applications of both module systems, and of older compilers', async () => {
  const text = `import { Database, fromEnvironment, type TenantClient } from '@llama-mapper/database';
    import { LocalKey } from '@llama-mapper/database/encryption';
    import { AzureMonitor } from '@llama-mapper/database/monitoring';
    import { StorageRecords } from '@llama-mapper/database/records';
    import { useTestDatabase } from '@llama-mapper/database/testing';
    export const others = [LocalKey, AzureMonitor, StorageRecords, useTestDatabase];
    const db = new Database(fromEnvironment());
    const work = async (tx: TenantClient) => (await tx.query<{ n: number }>('SELECT 1 AS n')).rows[0]?.n;
    export const n: Promise<number | undefined> = db.tenant('a', { user: 'u' }).read(work, { maxLagMs: 5 });
    // @ts-expect-error a tenant has no default
    db.tenant();`;
  for (const extension of ['mts', 'cts']) writeFileSync(join(application, `typed.${extension}`), text);
  // Declarations of this package are checked too, without the packages that only Azure needs.
  const options = ['--strict', '--noEmit', '--exactOptionalPropertyTypes', '--ignoreConfig'];
  const compile = [...options, '--types', 'node', '--target', 'es2022', '--lib', 'es2022,esnext.disposable'];
  const tsc = join(project, 'node_modules/typescript/bin/tsc');
  const ways = [
    ['--module', 'nodenext', 'typed.mts', 'typed.cts'],
    ['--module', 'commonjs', '--moduleResolution', 'node10', '--ignoreDeprecations', '6.0', 'typed.cts'],
  ];
  for (const way of ways) {
    const compiling = run(process.execPath, [tsc, ...compile, ...way], { cwd: application });
    expect((await compiling.catch((error) => error)).stdout, way.join(' ')).toBe('');
  }
}, 120_000);

it('keeps the tenant if an ES module and a CommonJS module load it in one process', async () => {
  const stdout = await program(
    'both.js',
    `import { createRequire } from 'node:module';
    import * as esm from '@llama-mapper/database';
    const cjs = createRequire(import.meta.url)('@llama-mapper/database');
    const [one, other] = [new esm.Database(esm.fromEnvironment()), new cjs.Database(cjs.fromEnvironment())];
    const pid = async (tx) => (await tx.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
    const tenant = async (tx) => (await tx.query("SELECT current_setting('app.current_tenant_id') AS t")).rows[0].t;
    const joined = await one.tenant('a').transaction(async (tx) => [await pid(tx), await other.tenant('a').read(pid)]);
    let refused;
    await one.tenant('a').transaction(() => other.tenant('b').read(tenant).catch((error) => { refused = error; })).catch(() => {});
    let ambient;
    await one.tenant('a').transaction(async () => { try { other.tenant(); } catch (error) { ambient = error.code; } });
    const both = await Promise.all([one.tenant('c').read(tenant), other.tenant('d').read(tenant)]);
    await Promise.all([one.close(), other.close()]);
    process.stdout.write(JSON.stringify({
      separate: one.constructor !== other.constructor, joined: joined[0] === joined[1], code: refused.code,
      recognised: esm.isDatabaseFailure(refused), ambient, both,
    }));`,
  );
  expect(JSON.parse(stdout)).toEqual({
    separate: true,
    joined: true,
    code: 'tenant/inside-another',
    recognised: true,
    ambient: 'tenant/missing',
    both: ['c', 'd'],
  });
});

it.each(['index', 'encryption/index', 'monitoring/index', 'records/index', 'testing/index'])(
  'has the public surface of runtime/api in %s',
  (entry) => {
    const reportFolder = join(project, 'runtime/api');
    const reportFileName = `${entry.replace('/index', '')}.api.md`;
    // LLAMA_API_REPORT=write npx vitest run test/runtime/package.test.ts writes the reports anew.
    const localBuild = process.env['LLAMA_API_REPORT'] === 'write';
    if (localBuild) mkdirSync(reportFolder, { recursive: true });
    const result = Extractor.invoke(
      ExtractorConfig.prepare({
        configObject: {
          projectFolder: join(project, 'runtime'),
          // Declarations below node_modules would count as those of another package.
          mainEntryPointFilePath: join(project, `runtime/dist/${entry}.d.ts`),
          newlineKind: 'lf',
          apiReport: { enabled: true, reportFolder, reportTempFolder: application, reportFileName },
          docModel: { enabled: false },
          dtsRollup: { enabled: false },
          tsdocMetadata: { enabled: false },
          compiler: {
            overrideTsconfig: {
              compilerOptions: {
                ...{ target: 'es2022', lib: ['es2022'], module: 'nodenext', moduleResolution: 'nodenext' },
                ...{ strict: true, skipLibCheck: true, types: ['node'] },
              },
              include: [join(project, 'runtime/dist/**/*.d.ts')],
            },
          },
        },
        configObjectFullPath: undefined,
        packageJsonFullPath: join(project, 'runtime/package.json'),
      }),
      {
        localBuild,
        messageCallback: (message) => {
          message.handled = true;
        },
      },
    );
    expect(existsSync(join(reportFolder, reportFileName))).toBe(true);
    expect(result.apiReportChanged, 'the public surface differs from runtime/api').toBe(
      localBuild && result.apiReportChanged,
    );
  },
);

it('has a reference in which every public type is explained', async () => {
  // Warnings count as errors: a type that the surface names and no entry exports, a link that leads nowhere.
  const checking = run('npm', ['run', '--silent', 'reference', '--', '--emit', 'none'], {
    cwd: join(project, 'runtime'),
  });
  expect((await checking.catch((error) => error)).stderr).toBe('');
}, 60_000);
