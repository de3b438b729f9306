import { readdirSync } from 'node:fs';
import { type Check, groups } from './check.ts';

/** A file of `checks/`. */
interface CheckFile {
  readonly checks: readonly Check[];
}

const names = readdirSync(new URL('./checks', import.meta.url))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

const files = await Promise.all(names.map((name): Promise<CheckFile> => import(`./checks/${name}.ts`)));

/** Every check of every file of `checks/`, in the order in which reports list them: by group, then by id. */
export const catalogue: readonly Check[] = files
  .flatMap(({ checks }) => checks)
  .sort((a, b) => groupOrder(a) - groupOrder(b) || a.id.localeCompare(b.id));

function groupOrder({ group }: Check): number {
  return groups.indexOf(group);
}
