/** The example of docs/migrations.md, "A table with rows of tenants". */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const page = readFileSync(join(import.meta.dirname, '../../docs/migrations.md'), 'utf8');

/** Text of the migration file. */
export const recipe: string =
  /\n## A table with rows of tenants\n[\s\S]*?\n```sql\n([\s\S]*?)```/.exec(page)?.[1] ?? '';

/** Its Up section. */
export const recipeUp: string = recipe.split('-- Up Migration')[1]?.split('-- Down Migration')[0] ?? '';
