import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { importsFile, readImports, removeImports, writeImports } from '../../../pipeline/adopt/imports.ts';
import { synthesize } from '../../../stacks/synthesis.ts';
import { environments } from '../../support/environments.ts';

describe('import blocks beside a stack', () => {
  const imports = [{ address: 'azurerm_key_vault.key_vault', importId: '/subscriptions/s/…/vaults/vault' }];
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'llama-imports-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('are read as they were written, and can be removed', () => {
    expect(readImports(folder)).toEqual([]);
    expect(writeImports(folder, imports)).toBe(join(folder, importsFile));
    expect(readImports(folder)).toEqual(imports);
    removeImports(folder);
    removeImports(folder);
    expect(readImports(folder)).toEqual([]);
  });

  it('survive a synthesis', () => {
    const settings = [environments.named('development')];
    const output = synthesize(settings, folder);
    writeImports(join(output, 'stacks/development'), imports);
    synthesize(settings, folder);
    expect(readImports(join(output, 'stacks/development'))).toEqual(imports);
  });
});
