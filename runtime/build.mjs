/** Builds the package twice: ES modules in dist, CommonJS in dist/cjs. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

rmSync(here('dist'), { recursive: true, force: true });
for (const project of ['tsconfig.json', 'tsconfig.cjs.json'])
  execFileSync(process.execPath, [tsc, '-p', here(project)], { stdio: 'inherit' });
// The compiler changes the extensions of imports in modules, but not in declarations.
for (const file of readdirSync(here('dist'), { recursive: true })) {
  if (!file.endsWith('.d.ts')) continue;
  const path = here(`dist/${file}`);
  writeFileSync(
    path,
    readFileSync(path, 'utf8').replace(/(from |import\()(['"])(\.[^'"]*)\.ts\2/g, '$1$2$3.js$2'),
  );
}
// The package is of ES modules; this folder is not.
writeFileSync(here('dist/cjs/package.json'), '{ "type": "commonjs" }\n');
