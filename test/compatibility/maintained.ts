/** The maintained packages that replace `cdktf` and `@cdktf/provider-azurerm`, which are archived. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const maintained = { library: '0.24.0', bindings: '16.1.0' } as const;

/** Part of a `package.json`. */
export interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly overrides?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export const maintainedPackages: Manifest = {
  dependencies: { cdktn: maintained.library, '@cdktn/provider-azurerm': maintained.bindings },
  // The bindings name the library's previous minor version.
  overrides: { '@cdktn/provider-azurerm': { cdktn: '$cdktn' } },
};

/** Writes the imports of a folder under the names of the maintained packages: the one edit of the sources. */
export function renameImports(folder: string): void {
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
