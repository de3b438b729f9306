/**
 * Import blocks beside a synthesized stack. The next plan shows them and the next deployment carries them out. A synthesis
 * leaves the file alone, and a block for a resource in the state has no effect.
 * https://developer.hashicorp.com/terraform/language/import
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { objectsAt, textAt } from '../../core/json.ts';

/** Beside `cdk.tf.json`; Terraform reads every file with this ending. */
export const importsFile = 'imports.tf.json';

export interface Import {
  readonly address: string;
  readonly importId: string;
}

/** @returns the file */
export function writeImports(directory: string, imports: readonly Import[]): string {
  const file = join(directory, importsFile);
  const blocks = imports.map(({ address, importId }) => ({ to: address, id: importId }));
  writeFileSync(file, `${JSON.stringify({ import: blocks }, undefined, 2)}\n`);
  return file;
}

export function readImports(directory: string): readonly Import[] {
  const file = join(directory, importsFile);
  if (!existsSync(file)) return [];
  return objectsAt(JSON.parse(readFileSync(file, 'utf8')), 'import').flatMap((block) => {
    const [address, importId] = [textAt(block, 'to'), textAt(block, 'id')];
    return address !== undefined && importId !== undefined ? [{ address, importId }] : [];
  });
}

/** Removes the file. Terraform refuses an import block for a resource that has left the stack. */
export function removeImports(directory: string): void {
  rmSync(join(directory, importsFile), { force: true });
}
