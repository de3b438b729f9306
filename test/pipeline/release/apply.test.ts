/** Whatever differs from what was approved is refused before Terraform starts: each variant once, in a real repository. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../core/digest.ts';
import { type ApplyOptions, applyRelease } from '../../../pipeline/release/apply.ts';
import { digestOfFiles, readCheckout } from '../../../pipeline/release/checkout.ts';
import { digestOfRelease, type ReleaseDocument } from '../../../pipeline/release/document.ts';
import { installedPackages, portable } from '../../../pipeline/release/packages.ts';
import { refuseSurroundings } from '../../../pipeline/release/surroundings.ts';

const hash = sha256('x');
const now = new Date('2026-11-27T12:00:00Z');
const migration = 'migrations/0001_one.sql';
const lock = {
  packages: {
    '': { dependencies: { one: '1.0.0', cdktf: '1.0.0' } },
    'node_modules/one': { version: '1.0.0', dependencies: { two: '1.0.0' } },
    'node_modules/one/node_modules/two': { version: '1.0.0', hasInstallScript: true },
    'node_modules/two': { version: '2.0.0', dev: true },
    'node_modules/cdktf': { version: '1.0.0' },
  },
};

let base: string;
let root: string;
let approved: ReleaseDocument;

const at = (path: string) => join(root, path);
const put = (path: string, content: string) => {
  mkdirSync(dirname(at(path)), { recursive: true });
  writeFileSync(at(path), content);
};
const git = (...parameters: string[]) =>
  execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@localhost', ...parameters], { cwd: root });

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'llama-apply-'));
  root = join(base, 'made');
  for (const [path, content] of Object.entries({
    [migration]: 'SELECT 1;\n',
    'migrations/schema.json': '{}',
    'environments/waivers.json': '{ "waivers": [] }',
    'package-lock.json': JSON.stringify(lock),
    '.gitignore': 'node_modules/\nrelease/\n*.log\n',
    'node_modules/one/index.js': 'exports.one = 1;\n',
    'node_modules/one/node_modules/two/index.js': 'exports.two = 2;\n',
    'node_modules/two/index.js': 'only tests load it\n',
    'node_modules/cdktf/index.js': 'only the synthesis loads it\n',
    'release/cdk.tf.json': '{}',
    'release/terraform.lock.hcl': 'locked',
    'release/guard.json': '{}',
    'release/plan': 'a plan',
  }))
    put(path, content);
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '-m', 'one');
  const checkout = await readCheckout(root);
  expect(checkout.changed).toEqual([]);
  const content = (name: string) => sha256(readFileSync(at(`release/${name}`)));
  const artifact = { code: hash, migrations: hash, schema: hash, packages: hash, installed: hash };
  approved = {
    ...{ format: 1, environment: 'staging', commit: checkout.commit, committedAt: checkout.committedAt },
    ...{ madeAt: now.toISOString(), terraform: '1.11.4' },
    artifact: { ...artifact, providers: content('terraform.lock.hcl') },
    tree: digestOfFiles(checkout, ['environments/waivers.json']),
    stack: content('cdk.tf.json'),
    installed: installedPackages(root),
    plan: {
      ...{ digest: content('plan'), isSealed: false, lineage: 'l', serial: 1, impact: 'nothing', counts: {} },
      ...{ runsPostDeploy: true, migrations: [], drift: [] },
    },
    guard: { digest: content('guard.json'), waived: [] },
  };
  put('release/release.json', JSON.stringify(approved));
});
afterAll(() => rmSync(base, { recursive: true }));

/** Each variant has a checkout of its own. */
beforeEach(() => {
  root = mkdtempSync(join(base, 'copy-'));
  cpSync(join(base, 'made'), root, { recursive: true });
});

function apply(more: Partial<ApplyOptions> = {}): Promise<unknown> {
  return applyRelease({
    ...{ project: root, environment: 'staging', file: at('release/release.json'), maxAge: 24, now },
    ...{ isProtected: true, waivers: [], waiversPath: 'environments/waivers.json' },
    reporter: { line: () => {}, warn: () => {} },
    stream: process.stderr,
    approved: digestOfRelease(approved),
    ...more,
  });
}

/** The release with other values, as somebody edits it by hand. */
function edited(more: Partial<ReleaseDocument>): ReleaseDocument {
  const release = { ...approved, ...more };
  put('release/release.json', JSON.stringify(release));
  return release;
}

const other = 'release/other-files';
const variants: readonly (readonly [
  title: string,
  /** Damages the checkout, or returns other options. */
  act: () => unknown,
  code: string,
  names: RegExp,
])[] = [
  ['a migration edited after the approval', () => put(migration, 'SELECT 2;\n'), other, /0001_one\.sql/],
  ['a migration removed', () => rmSync(at(migration)), other, /0001_one\.sql/],
  ['a migration added', () => put('migrations/0002_two.sql', ''), other, /0002_two\.sql/],
  ['a migration added that git ignores', () => put('migrations/x.log', ''), other, /x\.log/],
  ['line endings of another platform', () => put(migration, 'SELECT 1;\r\n'), other, /0001_one\.sql/],
  [
    'a link in place of a migration',
    () => {
      put('elsewhere.sql', 'SELECT 1;\n');
      rmSync(at(migration));
      symlinkSync('../elsewhere.sql', at(migration));
    },
    other,
    /0001_one\.sql/,
  ],
  [
    'a link in place of the folder of migrations',
    () => {
      cpSync(at('migrations'), at('elsewhere'), { recursive: true });
      rmSync(at('migrations'), { recursive: true });
      symlinkSync('elsewhere', at('migrations'));
    },
    other,
    /migrations/,
  ],
  [
    'an edited migration that git was made to overlook',
    () => {
      git('update-index', '--assume-unchanged', migration);
      put(migration, 'SELECT 2;\n');
    },
    other,
    /0001_one\.sql/,
  ],
  [
    'a package beside a room, which is loaded before the installed one',
    () => put('migrations/node_modules/one/index.js', ''),
    other,
    /migrations\/node_modules\/one/,
  ],
  [
    'an edited package',
    () => appendFileSync(at('node_modules/one/index.js'), ' '),
    'release/other-packages',
    /node_modules\/one/,
  ],
  [
    'an edited package of a package',
    () => appendFileSync(at('node_modules/one/node_modules/two/index.js'), ' '),
    'release/other-packages',
    /one\/node_modules\/two/,
  ],
  [
    'a file added to a package',
    () => put('node_modules/one/node_modules/three/index.js', ''),
    'release/other-packages',
    /node_modules\/one/,
  ],
  [
    'a package that is gone',
    () => rmSync(at('node_modules/one'), { recursive: true }),
    'release/other-packages',
    /node_modules\/one/,
  ],
  [
    'the plan of another commit',
    () => {
      put('docs', 'another');
      git('add', '--all');
      git('commit', '--quiet', '-m', 'two');
    },
    'release/other-commit',
    /would run other migrations/,
  ],
  ['a plan with a byte more', () => appendFileSync(at('release/plan'), ' '), 'release/file-differs', /plan/],
  ['a plan cut short', () => truncateSync(at('release/plan'), 3), 'release/file-differs', /plan/],
  ['the plan of another release', () => put('release/plan', 'another plan'), 'release/file-differs', /plan/],
  ['no plan', () => rmSync(at('release/plan')), 'release/file-missing', /plan/],
  ['another stack', () => put('release/cdk.tf.json', '{ }'), 'release/file-differs', /cdk\.tf\.json/],
  [
    'other providers',
    () => put('release/terraform.lock.hcl', 'other'),
    'release/file-differs',
    /terraform\.lock\.hcl/,
  ],
  ['another verdict', () => put('release/guard.json', '{ }'), 'release/file-differs', /guard\.json/],
  [
    'a release edited by hand',
    () => void edited({ tree: hash }),
    'release/not-approved',
    /is not the approved one/,
  ],
  [
    'another approval',
    () => ({ approved: '0'.repeat(64) }),
    'release/not-approved',
    /000000000000 was approved/,
  ],
  [
    'a short approval',
    () => ({ approved: digestOfRelease(approved).slice(0, 11) }),
    'release/not-approved',
    /approved/,
  ],
  [
    'no approval of a protected environment',
    () => ({ approved: undefined }),
    'release/approval-missing',
    /protected/,
  ],
  [
    'a release of another environment',
    () => ({ environment: 'production' }),
    'release/other-environment',
    /staging/,
  ],
  ['an old plan', () => ({ now: new Date(now.getTime() + 25 * 3_600_000) }), 'release/too-old', /25 h/],
  ['a clock that is behind', () => ({ now: new Date(now.getTime() - 600_000) }), 'release/too-old', /future/],
  [
    'a plan dated later by hand',
    () => {
      const later = edited({ madeAt: '2026-11-29T12:00:00.000Z' });
      return { approved: digestOfRelease(later) };
    },
    'release/too-old',
    /future/,
  ],
];

describe('a release is refused before Terraform starts', () => {
  it.each(variants)('for %s', async (_, act, code, names) => {
    const more = (act() ?? {}) as Partial<ApplyOptions>;
    const error = await apply(more).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(String(error)).toMatch(names);
  });

  it('but not for files that no deployment loads', async () => {
    put('docs/page.md', 'a page');
    put('node_modules/two/index.js', 'another test');
    put('migrations/.DS_Store', '');
    put('environments/waivers.json', '{ "waivers": [ ] }');
    // Here it comes to Terraform, for which the stack is empty.
    await expect(apply()).rejects.not.toMatchObject({
      code: expect.stringMatching(/^release\/(?!other-terraform)/),
    });
  });
});

describe('the packages of an artifact', () => {
  it('are those that are the same on every platform', () => {
    const all = installedPackages(root);
    expect(Object.keys(all)).toEqual(['node_modules/one', 'node_modules/one/node_modules/two']);
    expect(Object.keys(portable(all, root))).toEqual(['node_modules/one']);
  });

  it('have everything that the post-deploy step imports', () => {
    const reached = new Set(['commands/llama-db.mjs', 'commands/main.ts', 'commands/post-deploy.ts']);
    const imported = new Set<string>();
    for (const file of reached) {
      const text = readFileSync(file, 'utf8');
      for (const [, name = ''] of text.matchAll(
        /^(?:(?:import|export) (?!type)[^;]*?from |import |.*import\()'([^']+)'/gm,
      )) {
        if (name.startsWith('.')) reached.add(join(dirname(file), name));
        else if (!name.startsWith('node:')) imported.add(/^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name);
      }
    }
    const installed = Object.keys(installedPackages('.'));
    expect(imported.size).toBeGreaterThan(4);
    const synthesis = ['cdktf', 'constructs', '@cdktf/provider-azurerm'];
    expect([...imported].filter((name) => !installed.includes(`node_modules/${name}`))).toEqual(
      [...imported].filter((name) => synthesis.includes(name)),
    );
  });
});

describe('the surroundings of a release', () => {
  it.each([
    ['TF_CLI_ARGS_apply', '-parallelism=1'],
    ['TF_CLI_ARGS', '-no-color'],
    ['TF_WORKSPACE', 'other'],
    ['TF_REATTACH_PROVIDERS', '{}'],
    ['NODE_OPTIONS', '--max-old-space-size=99 --require ./secret.cjs'],
    ['NODE_OPTIONS', '--import=secret'],
    ['NODE_OPTIONS', '"--require=./secret hook.cjs"'],
    ['NODE_OPTIONS', '--experimental_loader ./secret.mjs'],
    ['TSX_TSCONFIG_PATH', '/secret'],
    ['NODE_PATH', '/secret'],
    ['PGOPTIONS', '-c secret=on'],
  ])('refuse %s=%s, without its value', (name, value) => {
    expect(() => refuseSurroundings({ HOME: root, [name]: value })).toThrow(
      expect.objectContaining({ code: 'release/other-surroundings', message: expect.stringContaining(name) }),
    );
    expect(() => refuseSurroundings({ HOME: root, [name]: value })).not.toThrow(/secret/);
  });

  it('refuse providers from a folder, and accept the rest', () => {
    const overrides = [
      'provider_installation {\n  dev_overrides {\n  }\n}\n',
      'provider_installation { dev_overrides { "hashicorp/azurerm" = "/tmp" } }',
      '{ "provider_installation": [{ "dev_overrides": [{ "hashicorp/azurerm": "/tmp" }] }] }',
    ];
    for (const text of overrides)
      for (const file of ['.terraformrc', '.terraform.d/own.tfrc', '.terraform.d/own.tfrc.json']) {
        put(file, text);
        expect(() => refuseSurroundings({ HOME: root })).toThrow(/dev_overrides/);
        expect(() => refuseSurroundings({ TF_CLI_CONFIG_FILE: at(file) })).toThrow(/dev_overrides/);
        expect(() => refuseSurroundings({ TERRAFORM_CONFIG: at(file) })).toThrow(/dev_overrides/);
        rmSync(at(file));
      }
    put('.terraformrc', '# dev_overrides {}\nprovider_installation {\n  filesystem_mirror {\n  }\n}\n');
    refuseSurroundings({ HOME: root, NODE_OPTIONS: '--max-old-space-size=4096', TF_CLI_ARGS: '' });
  });
});
