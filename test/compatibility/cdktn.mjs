/**
 * Proves that `cdktf`, which is archived, can be replaced: with `cdktf` aliased to the maintained `cdktn`, the same sources
 * synthesize the same JSON, apart from version metadata.
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
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'llama-db-cdktn-'));

/** Packages that main.ts needs, at the versions that this project pins. */
const needed = ['@cdktf/provider-azurerm', 'constructs', 'zod', 'ipaddr.js', 'tsx'];

function synthesized(folder) {
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

function withoutVersions(json) {
  const metadata = json['//']?.metadata;
  if (metadata) delete metadata.version;
  return json;
}

try {
  for (const entry of [
    'main.ts',
    'tsconfig.json',
    'core',
    'azure',
    'environments',
    'stacks',
    'constructs',
    'database',
    'migrations',
  ]) {
    cpSync(join(root, entry), join(scratch, 'aliased', entry), { recursive: true });
    cpSync(join(root, entry), join(scratch, 'pinned', entry), { recursive: true });
  }
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const manifest = (cdktf) => ({
    private: true,
    type: 'module',
    dependencies: { ...Object.fromEntries(needed.map((name) => [name, dependencies[name]])), cdktf },
    overrides: { '@cdktf/provider-azurerm': { cdktf: '$cdktf' } },
    allowScripts: { esbuild: true },
  });
  for (const [folder, cdktf] of [
    ['aliased', `npm:cdktn@${CDKTN}`],
    ['pinned', dependencies.cdktf],
  ]) {
    const cwd = join(scratch, folder);
    writeFileSync(join(cwd, 'package.json'), JSON.stringify(manifest(cdktf), null, 2));
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], {
      cwd,
      stdio: 'ignore',
    });
    execFileSync(process.execPath, ['--import', 'tsx', 'main.ts'], {
      cwd,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  const [ours, theirs] = [synthesized(join(scratch, 'pinned')), synthesized(join(scratch, 'aliased'))];
  const names = Object.keys(ours);
  const different = names.filter((name) => !isDeepStrictEqual(ours[name], theirs[name]));
  if (names.length === 0 || different.length > 0 || Object.keys(theirs).length !== names.length) {
    throw new Error(`cdktn ${CDKTN} synthesizes other JSON for: ${different.join(', ') || 'other stacks'}`);
  }
  process.stdout.write(`cdktn ${CDKTN} synthesizes the same JSON for ${names.join(', ')}\n`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
