/** Other environments in a scratch copy of the project. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inputs } from '../../environments/list.ts';

/** Names as identifiers: `pre-prod` is exported as `preProd`. */
export function identifier(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Replaces the environments of a copy.
 *
 * @param sources text of each environment's file, by name, in the order of promotion
 */
export function replaceEnvironments(folder: string, sources: Readonly<Record<string, string>>): void {
  const at = (file: string) => join(folder, 'environments', file);
  for (const name of Object.keys(inputs)) rmSync(at(`${name}.ts`));
  const names = Object.keys(sources);
  for (const name of names) writeFileSync(at(`${name}.ts`), sources[name] ?? '');
  const imports = names.map((name) => `import { ${identifier(name)} } from './${name}.ts';\n`).sort();
  const entries = names.map((name) => (identifier(name) === name ? name : `'${name}': ${identifier(name)}`));
  writeFileSync(at('list.ts'), `${imports.join('')}\nexport const inputs = { ${entries.join(', ')} };\n`);
}

/** Gives a copy the environments of the tests. */
export function useTestEnvironments(folder: string): void {
  const names = ['development', 'staging', 'production'];
  const source = (name: string) =>
    readFileSync(join(import.meta.dirname, `settings/${name}.ts`), 'utf8').replace(
      '../../../environments/settings.ts',
      './settings.ts',
    );
  replaceEnvironments(folder, Object.fromEntries(names.map((name) => [name, source(name)])));
}
