/** The impact table: every row, and the rows of a change. */
import type { ResourceChange } from '../facts.ts';
import { accessRows } from './access.ts';
import { childRows } from './children.ts';
import { jobRows } from './job.ts';
import { logRows } from './logs.ts';
import { networkRows } from './network.ts';
import { parameterRows } from './parameters.ts';
import type { Row } from './row.ts';
import { serverRows } from './server.ts';
import { surroundingRows } from './surroundings.ts';

export const rows: readonly Row[] = [
  ...serverRows,
  ...childRows,
  ...parameterRows,
  ...networkRows,
  ...surroundingRows,
  ...logRows,
  ...jobRows,
  ...accessRows,
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

/** The row about an attribute in an update: its own, that of a whole block (`receiver.*`), or that of all others. */
export function rowOfAttribute(type: string, path: string): Row | undefined {
  const found = byType.get(type) ?? [];
  const has = (name: string) => found.find(({ on }) => Array.isArray(on) && on.includes(name));
  const blocks = path.split('.').map((_, place, steps) => `${steps.slice(0, place + 1).join('.')}.*`);
  return has(path) ?? blocks.map(has).find(Boolean) ?? has('*');
}
