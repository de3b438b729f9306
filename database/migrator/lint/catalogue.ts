/** Every rule of the lint. */
import type { Rule } from './rule.ts';
import { columns } from './rules/columns.ts';
import { compatibility } from './rules/compatibility.ts';
import { files } from './rules/files.ts';
import { functions } from './rules/functions.ts';
import { indexes } from './rules/indexes.ts';
import { locks } from './rules/locks.ts';
import { partitions } from './rules/partitions.ts';
import { privileges } from './rules/privileges.ts';
import { session } from './rules/session.ts';
import { tenants, tenantTableOpen } from './rules/tenants.ts';

export const rules: readonly Rule[] = [
  ...locks,
  ...indexes,
  ...compatibility,
  ...partitions,
  ...tenants,
  tenantTableOpen,
  ...privileges,
  ...functions,
  ...session,
  ...columns,
  ...files,
];

const byId = new Map(rules.map((rule) => [rule.id, rule]));

/** @throws for an id that is no rule's: a defect of this project */
export function ruleOf(id: string): Rule {
  const rule = byId.get(id);
  if (rule) return rule;
  throw new Error(`there is no rule ${id}`);
}

export function isRule(id: string): boolean {
  return byId.has(id);
}
