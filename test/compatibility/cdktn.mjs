/**
 * Proves that `cdktf` and `@cdktf/provider-azurerm`, which are archived, can be left: the same sources synthesize the same
 * JSON, apart from version metadata, with the maintained library under the name `cdktf`, and with the maintained library
 * and bindings under their own names.
 *
 * Run `node test/compatibility/cdktn.mjs`. It installs into a temporary folder.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';

const CDKTN = '0.24.0';
const BINDINGS = '16.1.0';
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'llama-db-cdktn-'));

/** Packages that main.ts needs beside the two, at the versions that this project pins. */
const needed = ['constructs', 'zod', 'ipaddr.js', 'tsx'];
const sources = [
  ...['main.ts', 'tsconfig.json', 'core', 'azure', 'environments', 'stacks', 'constructs'],
  ...['runtime', 'database', 'migrations'],
];
const { dependencies: pinned } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Dependencies per way, each with the packages that must take the way's library. */
const ways = {
  'the archived packages': {
    dependencies: { cdktf: pinned.cdktf, '@cdktf/provider-azurerm': pinned['@cdktf/provider-azurerm'] },
  },
  [`cdktn ${CDKTN} as cdktf`]: {
    dependencies: {
      cdktf: `npm:cdktn@${CDKTN}`,
      '@cdktf/provider-azurerm': pinned['@cdktf/provider-azurerm'],
    },
    overrides: { '@cdktf/provider-azurerm': { cdktf: '$cdktf' } },
  },
  [`cdktn ${CDKTN} and @cdktn/provider-azurerm ${BINDINGS}`]: {
    dependencies: { cdktn: CDKTN, '@cdktn/provider-azurerm': BINDINGS },
    // The bindings name the library's previous minor version.
    overrides: { '@cdktn/provider-azurerm': { cdktn: '$cdktn' } },
    renamed: true,
  },
};

/** The imports under the names of the maintained packages: the one edit of the sources. */
function rename(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const file = join(entry.parentPath, entry.name);
    const text = readFileSync(file, 'utf8');
    const next = text
      .replaceAll("'@cdktf/provider-azurerm/", "'@cdktn/provider-azurerm/")
      .replaceAll("from 'cdktf'", "from 'cdktn'");
    if (next !== text) writeFileSync(file, next);
  }
}

function withoutVersions(json) {
  const metadata = json['//']?.metadata;
  if (metadata) delete metadata.version;
  return json;
}

function synthesized(way, number) {
  const { dependencies, overrides = {}, renamed = false } = ways[way];
  const folder = join(scratch, String(number));
  for (const entry of sources) cpSync(join(root, entry), join(folder, entry), { recursive: true });
  if (renamed) rename(folder);
  const manifest = {
    private: true,
    type: 'module',
    dependencies: { ...Object.fromEntries(needed.map((name) => [name, pinned[name]])), ...dependencies },
    overrides,
    allowScripts: { esbuild: true },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  execFileSync(process.execPath, ['--import', 'tsx', 'main.ts'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stacks = join(folder, 'cdktf.out', 'stacks');
  return Object.fromEntries(
    readdirSync(stacks)
      .sort()
      .map((name) => [
        name,
        withoutVersions(JSON.parse(readFileSync(join(stacks, name, 'cdk.tf.json'), 'utf8'))),
      ]),
  );
}

try {
  const [first, ...others] = Object.keys(ways);
  const ours = synthesized(first, 0);
  const names = Object.keys(ours);
  for (const [number, way] of others.entries()) {
    const theirs = synthesized(way, number + 1);
    const different = names.filter((name) => !isDeepStrictEqual(ours[name], theirs[name]));
    if (names.length === 0 || different.length > 0 || Object.keys(theirs).length !== names.length) {
      throw new Error(`${way} synthesizes other JSON for: ${different.join(', ') || 'other stacks'}`);
    }
    process.stdout.write(`${way}: the same JSON for ${names.join(', ')}\n`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
