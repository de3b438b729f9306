/** The impact table: every row, and the rows of a change. */
import type { ResourceChange } from '../facts.ts';
import { childRows } from './children.ts';
import { jobRows } from './job.ts';
import { parameterRows } from './parameters.ts';
import type { Row } from './row.ts';
import { serverRows } from './server.ts';
import { surroundingRows } from './surroundings.ts';

export const rows: readonly Row[] = [
  ...serverRows,
  ...childRows,
  ...parameterRows,
  ...surroundingRows,
  ...jobRows,
];

const byType = new Map<string, Row[]>();
for (const row of rows) byType.set(row.type, [...(byType.get(row.type) ?? []), row]);

/** Whether the table has rows for the type. */
export function isJudged(type: string): boolean {
  return byType.has(type);
}

/** The row about a whole resource that is created, replaced or deleted. */
export function rowOfAction(type: string, action: ResourceChange['action']): Row | undefined {
  return byType.get(type)?.find(({ on }) => on === action);
}

/** The row about an attribute in an update: its own, one of a block around it, or that of all others. */
export function rowOfAttribute(type: string, path: string): Row | undefined {
  const found = byType.get(type) ?? [];
  const has = (name: string) => found.find(({ on }) => Array.isArray(on) && on.includes(name));
  return has(path) ?? has('*');
}
