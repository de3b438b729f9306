/** The parts of a release: what its digests cover, and what its files and its encryption refuse. */

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../../core/digest.ts';
import { digestOfFiles, readCheckout, releasedPaths } from '../../../pipeline/release/checkout.ts';
import {
  digestOfRelease,
  fileOf,
  type ReleaseDocument,
  readRelease,
} from '../../../pipeline/release/document.ts';
import { withMigrationsOf } from '../../../pipeline/release/released-migrations.ts';
import { open, seal } from '../../../pipeline/release/sealing.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'llama-release-'));
  folders.push(folder);
  return folder;
}

function pair(bits = 3072) {
  return generateKeyPairSync('rsa', {
    modulusLength: bits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

describe('the released files', () => {
  it('hold everything that the post-deploy step and the synthesis can load', () => {
    const reached = new Set([
      'commands/llama-db.mjs',
      'commands/main.ts',
      'commands/post-deploy.ts',
      'main.ts',
    ]);
    for (const file of reached) {
      const text = readFileSync(file, 'utf8');
      for (const [, of = ''] of text.matchAll(/(?:from|import\()\s*'(\.[^']+\.(?:ts|mjs))'/g))
        reached.add(normalize(join(dirname(file), of)));
    }
    expect(reached.size).toBeGreaterThan(150);
    const outside = [...reached].filter(
      (file) => !releasedPaths.some((path) => file === path || file.startsWith(`${path}/`)),
    );
    expect(outside).toEqual([]);
  });

  it('have another digest after any change: edited, added, removed', async () => {
    const directory = scratch();
    const git = (...parameters: string[]) =>
      execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@localhost', ...parameters], {
        cwd: directory,
      });
    mkdirSync(join(directory, 'migrations'));
    mkdirSync(join(directory, 'docs'));
    writeFileSync(join(directory, 'migrations/0001_one.sql'), 'SELECT 1;\n');
    await expect(readCheckout(directory)).rejects.toMatchObject({ code: 'release/no-commit' });
    git('init', '--quiet');
    git('add', '--all');
    git('commit', '--quiet', '-m', 'one');
    const one = await readCheckout(directory);
    expect(one.changed).toEqual([]);
    writeFileSync(join(directory, 'docs/page.md'), 'not released');
    expect(digestOfFiles(await readCheckout(directory))).toBe(digestOfFiles(one));
    const changes = [
      () => writeFileSync(join(directory, 'migrations/0001_one.sql'), 'SELECT 2;\n'),
      () => writeFileSync(join(directory, 'migrations/0002 twö.sql'), ''),
      () => rmSync(join(directory, 'migrations/0001_one.sql')),
      () => {
        writeFileSync(join(directory, '.git/info/exclude'), '*.sql\n');
        writeFileSync(join(directory, 'migrations/0003_ignored.sql'), '');
      },
    ];
    const digests = new Set([digestOfFiles(one)]);
    for (const act of changes) {
      act();
      const now = await readCheckout(directory);
      expect(now.changed.length).toBeGreaterThan(0);
      digests.add(digestOfFiles(now));
    }
    expect(digests.size).toBe(5);
    const found = await withMigrationsOf(directory, one.commit, async (folder) =>
      readFileSync(join(folder, '0001_one.sql'), 'utf8'),
    );
    expect(found).toBe('SELECT 1;\n');
    const unknown = withMigrationsOf(directory, 'f'.repeat(40), async () => undefined);
    await expect(unknown).rejects.toMatchObject({ code: 'release/commit-unknown' });
  });
});

const hash = sha256('x');
const release: ReleaseDocument = {
  format: 1,
  environment: 'staging',
  commit: 'c'.repeat(40),
  committedAt: '2026-11-27T12:00:00+00:00',
  madeAt: '2026-11-27T12:00:00.000Z',
  terraform: '1.11.4',
  artifact: { code: hash, migrations: hash, schema: hash, packages: hash, installed: hash, providers: hash },
  tree: hash,
  stack: hash,
  installed: { 'node_modules/pg': hash },
  plan: {
    ...{ digest: hash, isSealed: false, lineage: 'l', serial: 1, impact: 'nothing', counts: {} },
    ...{ runsPostDeploy: false, migrations: [], drift: [] },
  },
  guard: { digest: hash, waived: [] },
};

describe('the document of a release', () => {
  it('has the same digest whatever the order of its keys, and another one for each changed value', () => {
    const reversed = Object.fromEntries(Object.entries(release).reverse()) as unknown as ReleaseDocument;
    expect(digestOfRelease(reversed)).toBe(digestOfRelease(release));
    const others = [
      { ...release, commit: 'd'.repeat(40) },
      { ...release, plan: { ...release.plan, serial: 2 } },
      { ...release, guard: { ...release.guard, digest: sha256('y') } },
    ];
    expect(new Set([release, ...others].map(digestOfRelease)).size).toBe(4);
  });

  it.each([
    ['is missing', undefined, /ENOENT/],
    ['is not JSON', '{', /JSON/],
    ['has an unknown key', JSON.stringify({ ...release, more: 1 }), /more/],
    ['lacks a key', JSON.stringify({ ...release, tree: undefined }), /tree/],
    ['has no commit', JSON.stringify({ ...release, commit: 'main' }), /commit/],
  ])('that %s is refused', (_, content, why) => {
    const file = join(scratch(), 'release.json');
    if (content !== undefined) writeFileSync(file, content);
    expect(() => readRelease(file)).toThrow(
      expect.objectContaining({ code: 'release/unreadable', exitCode: 2 }),
    );
    expect(() => readRelease(file)).toThrow(why);
  });

  it('finds every changed byte of its files', () => {
    const file = join(scratch(), 'release.json');
    const content = Buffer.from('a plan of forty bytes, more or less, here');
    for (const place of content.keys()) {
      const changed = Buffer.from(content);
      changed[place] = (changed[place] ?? 0) ^ 1;
      writeFileSync(join(dirname(file), 'plan'), changed);
      expect(() => fileOf(file, 'plan', sha256(content))).toThrow(
        expect.objectContaining({ code: 'release/file-differs' }),
      );
    }
    expect(() => fileOf(file, 'other', sha256(content))).toThrow(
      expect.objectContaining({ code: 'release/file-missing' }),
    );
  });
});

describe('an encrypted plan', () => {
  const plan = Buffer.from('a password would stand here');
  const { publicKey, privateKey } = pair();

  it('is read by the private key alone, and never twice the same', () => {
    const sealed = seal(plan, publicKey);
    expect(open(sealed, privateKey)).toEqual(plan);
    expect(sealed.includes(plan)).toBe(false);
    expect(seal(plan, publicKey)).not.toEqual(sealed);
    for (const key of [undefined, ''])
      expect(() => open(sealed, key)).toThrow(expect.objectContaining({ code: 'release/key-missing' }));
    for (const key of [pair().privateKey, 'no key'])
      expect(() => open(sealed, key)).toThrow(expect.objectContaining({ code: 'release/not-opened' }));
  });

  it('is refused if any byte was changed or left out', () => {
    const sealed = seal(plan, publicKey);
    const refused = expect.objectContaining({ code: 'release/not-opened' });
    for (const place of sealed.keys()) {
      const changed = Buffer.from(sealed);
      changed[place] = (changed[place] ?? 0) ^ 1;
      // Decryption with RSA takes milliseconds: its block is tried at every tenth byte.
      if (place > 20 && place < 390 && place % 10 > 0) continue;
      expect(() => open(changed, privateKey), `byte ${place}`).toThrow(refused);
    }
    for (const end of [0, 5, 20, 100, sealed.length - 1])
      expect(() => open(sealed.subarray(0, end), privateKey)).toThrow(refused);
  });

  it.each([
    ['a short key', pair(2048).publicKey],
    ['the private key', privateKey],
    ['no key', 'text'],
    [
      'an elliptic key',
      generateKeyPairSync('ec', { namedCurve: 'P-256' })
        .publicKey.export({ type: 'spki', format: 'pem' })
        .toString(),
    ],
  ])('is not made for %s', (_, key) => {
    expect(() => seal(plan, key)).toThrow(expect.objectContaining({ code: 'release/key-unusable' }));
  });
});
