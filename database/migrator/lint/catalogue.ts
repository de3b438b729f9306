/** Every rule of the lint. Each file of `rules/` exports a family of rules; adding one needs no change here. */
import { readdirSync } from 'node:fs';
import type { Family, Rule } from './rule.ts';

const folder = new URL('rules/', import.meta.url);

/** Sorted by file name. */
export const families: readonly Family[] = await Promise.all(
  readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .map(async (file) => {
      const module: { readonly family: Family } = await import(new URL(file, folder).href);
      return module.family;
    }),
);

export const rules: readonly Rule[] = families.flatMap((family) => family.rules);

const byId = new Map(rules.map((rule) => [rule.id, rule]));

/** @throws if no rule has the id, which is a defect of this project */
export function ruleOf(id: string): Rule {
  const rule = byId.get(id);
  if (rule) return rule;
  throw new Error(`lint rule ${id} does not exist`);
}

export function isRule(id: string): boolean {
  return byId.has(id);
}
