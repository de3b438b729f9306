/** `npm run docs`: writes the generated documents again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedPages } from './generated-pages.ts';

for (const [path, page] of Object.entries(generatedPages)) {
  writeFileSync(join(import.meta.dirname, '../..', path), page());
}
