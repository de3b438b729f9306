import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const rooms = [
  'main.ts',
  'azure',
  'environments',
  'stacks',
  'constructs',
  'migrations',
  'database',
  'pipeline',
  'rehearsal',
  'commands',
];

interface Import {
  readonly file: string;
  /** Package, or path from the project's root. */
  readonly of: string;
  /** Erased before anything runs. */
  readonly typeOnly: boolean;
}

const imports: Import[] = rooms.flatMap(sources).flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(/^(?:import|export)\s(type\s)?[^;]*?from '([^']+)';/gm)].map(
    ([, type, from = '']) => ({
      file: file.replaceAll('\\', '/'),
      of: from.startsWith('.') ? normalize(join(dirname(file), from)).replaceAll('\\', '/') : from,
      typeOnly: type !== undefined,
    }),
  ),
);

function sources(room: string): string[] {
  if (room.endsWith('.ts')) return [room];
  if (!existsSync(room)) return [];
  return readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(room, file));
}

const from = (room: string) => imports.filter(({ file }) => file.startsWith(`${room}/`));
const told = ({ file, of }: Import) => `${file} imports ${of}`;

describe('imports', () => {
  it('are found at all', () => {
    expect(imports.length).toBeGreaterThan(150);
    expect(from('constructs').length).toBeGreaterThan(40);
  });

  it('take resources of the provider one by one, never its index of 1,530', () => {
    const provider = imports.filter(({ of }) => of.startsWith('@cdktf/provider-azurerm'));
    expect(provider.length).toBeGreaterThan(25);
    expect(
      provider
        .filter(({ of }) => !/^@cdktf\/provider-azurerm\/lib\/[a-z0-9-]+\/index\.js$/.test(of))
        .map(told),
    ).toEqual([]);
  });

  it.each([
    ['constructs', /^(database|environments|stacks|pipeline|rehearsal|commands)\//],
    [
      'database',
      /^(constructs|stacks|environments|pipeline|rehearsal|commands)\/|^cdktf$|^@cdktf\/|^constructs$/,
    ],
    ['environments', /^(constructs|stacks|database|pipeline|rehearsal|commands)\/|^cdktf$|^@cdktf\//],
    ['azure', /^(?!azure\/)/],
    ['stacks', /^(pipeline|rehearsal|commands)\//],
  ])('of %s stay out of the rooms it must not know', (room, forbidden) => {
    expect(
      from(room)
        .filter(({ of }) => forbidden.test(of))
        .map(told),
    ).toEqual([]);
  });

  it('of stacks take from the database side only what needs no database', () => {
    expect(
      from('stacks')
        .filter(({ of, typeOnly }) => of.startsWith('database/') && !typeOnly)
        .map(({ of }) => of),
    ).toEqual(['database/migrator/files.ts']);
  });
});
