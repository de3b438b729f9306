import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ownNearest, ownWith } from '../support/own.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'llama-installation-'));
afterAll(() => rmSync(folder, { recursive: true }));

const project = path.join(import.meta.dirname, '../..');
const module = path.join(project, 'rehearsal/terraform/installation.ts');

/** The folder in which a program of a user with this home finds the provider. */
function found(home: string, cache = ''): string {
  const program = `import { findProvider } from ${JSON.stringify(module)};
    process.stdout.write(await findProvider('4.55.0').catch((error) => error.exitCode + ' ' + error.message));`;
  return execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: project,
    encoding: 'utf8',
    env: { ...process.env, HOME: home, TF_PLUGIN_CACHE_DIR: cache },
  });
}

const machine = `${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`;

function provider(root: string, ...inside: string[]): string {
  const file = path.join(root, 'registry.terraform.io/hashicorp/azurerm', ...inside);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, '');
  return root;
}

const localState = ownWith('localState');

describe('what a rehearsal needs', () => {
  it('finds the provider unpacked, packed, and in a plugin cache', () => {
    const [unpacked, packed, empty] = ['unpacked', 'packed', 'empty'].map((name) => path.join(folder, name));
    const plugins = '.terraform.d/plugins';
    provider(path.join(`${unpacked}`, plugins), '4.55.0', machine, 'terraform-provider-azurerm_v4.55.0_x5');
    provider(path.join(`${packed}`, plugins), `terraform-provider-azurerm_4.55.0_${machine}.zip`);
    const cache = provider(
      path.join(folder, 'cache'),
      '4.55.0',
      machine,
      'terraform-provider-azurerm_v4.55.0',
    );
    expect(found(`${unpacked}`)).toBe(path.join(`${unpacked}`, plugins));
    expect(found(`${packed}`)).toBe(path.join(`${packed}`, plugins));
    expect(found(`${empty}`, cache)).toBe(cache);
  });

  it('names the missing provider and the command that installs it, with exit status 3', () => {
    const other = path.join(folder, 'other');
    provider(
      path.join(other, '.terraform.d/plugins'),
      '4.54.0',
      machine,
      'terraform-provider-azurerm_v4.54.0',
    );
    const printed = found(other);
    expect(printed).toMatch(/^3 .*4\.55\.0.*terraform providers mirror/);
    expect(printed).not.toContain('\n');
  });

  it('ends the command with exit status 3 and one line if Terraform is missing', () => {
    const bin = path.join(folder, 'bin');
    mkdirSync(bin);
    const ended = spawnSync(process.execPath, ['commands/llama-db.mjs', 'rehearse', ownNearest()], {
      cwd: project,
      encoding: 'utf8',
      env: { ...process.env, PATH: bin },
    });
    expect(ended.stderr).toMatch(
      /^[^\n]*Install Terraform 1\.11[^\n]*\[installation\/terraform-missing\]\n$/,
    );
    expect(ended.status).toBe(3);
  });

  it.each<{ parameters: readonly string[]; words: string }>([
    { parameters: ['nowhere'], words: '[environment/unknown]' },
    { parameters: [ownNearest(), '--scenario', 'nothing'], words: '[rehearsal/unknown-scenario]' },
    ...(localState === undefined
      ? []
      : [
          {
            parameters: [localState, '--scenario', 'state-locked'],
            words: '[rehearsal/scenario-not-for-environment]',
          },
        ]),
  ])('refuses $parameters as bad usage', ({ parameters, words }) => {
    const ended = spawnSync(process.execPath, ['commands/llama-db.mjs', 'rehearse', ...parameters], {
      cwd: project,
      encoding: 'utf8',
    });
    expect(ended.stderr).toContain(words);
    expect(ended.status).toBe(2);
  });
});
