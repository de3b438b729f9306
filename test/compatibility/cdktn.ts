/**
 * Proves that `cdktf` and `@cdktf/provider-azurerm`, which are archived, can be left: the same sources synthesize the same
 * JSON, apart from version metadata, with the maintained library under the name `cdktf`, and with the maintained library
 * and bindings under their own names. `npm run prove -- successors` also deploys with them.
 *
 * Run `node --import tsx test/compatibility/cdktn.ts`. It installs into a temporary folder.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Manifest, maintained, maintainedPackages, renameImports } from './maintained.ts';

const root = join(import.meta.dirname, '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'llama-db-cdktn-'));

/** Packages that main.ts needs beside the two, at the versions that this project pins. */
const needed = ['constructs', 'zod', 'ipaddr.js', 'tsx'];
const sources = [
  ...['main.ts', 'tsconfig.json', 'core', 'azure', 'environments', 'stacks', 'constructs'],
  ...['runtime', 'database', 'migrations'],
];
const { dependencies: pinned }: { readonly dependencies: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
);

function versions(...packages: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(packages.map((name) => [name, pinned[name] ?? 'not pinned']));
}

interface Way extends Manifest {
  readonly renames?: boolean;
}

const ways: Readonly<Record<string, Way>> = {
  'the archived packages': { dependencies: versions('cdktf', '@cdktf/provider-azurerm') },
  [`cdktn ${maintained.library} as cdktf`]: {
    dependencies: { cdktf: `npm:cdktn@${maintained.library}`, ...versions('@cdktf/provider-azurerm') },
    overrides: { '@cdktf/provider-azurerm': { cdktf: '$cdktf' } },
  },
  [`cdktn ${maintained.library} and @cdktn/provider-azurerm ${maintained.bindings}`]: {
    ...maintainedPackages,
    renames: true,
  },
};

function synthesized({ dependencies, overrides, renames }: Way, number: number) {
  const folder = join(scratch, String(number));
  for (const entry of sources) cpSync(join(root, entry), join(folder, entry), { recursive: true });
  if (renames) renameImports(folder);
  const manifest = {
    private: true,
    type: 'module',
    dependencies: { ...versions(...needed), ...dependencies },
    overrides,
    allowScripts: { esbuild: true },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
  for (const [program, ...parameters] of [
    ['npm', 'install', '--no-audit', '--no-fund', '--no-package-lock'],
    [process.execPath, '--import', 'tsx', 'main.ts'],
  ] as const)
    execFileSync(program, parameters, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const stacks = join(folder, 'cdktf.out', 'stacks');
  return new Map(
    readdirSync(stacks).map((name) => {
      const json = JSON.parse(readFileSync(join(stacks, name, 'cdk.tf.json'), 'utf8'));
      delete json['//']?.metadata?.version;
      return [name, json];
    }),
  );
}

try {
  const [first, ...others] = Object.entries(ways).map(([way, packages], number) => ({
    way,
    stacks: synthesized(packages, number),
  }));
  if (!first || first.stacks.size === 0) throw new Error('nothing was synthesized');
  for (const { way, stacks } of others) {
    const names = new Set([...first.stacks.keys(), ...stacks.keys()]);
    const different = [...names].filter(
      (name) => !isDeepStrictEqual(first.stacks.get(name), stacks.get(name)),
    );
    if (different.length > 0) throw new Error(`${way} synthesizes other JSON for: ${different.join(', ')}`);
    process.stdout.write(`${way}: the same JSON for ${[...names].join(', ')}\n`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
