/** Rows with the same judgement for several types, and judgements that they share. */
import { lossOnDestruction } from '../../../azure/loss-on-destruction.ts';
import { equal } from '../values.ts';
import { type About, fixed, type Judgement, type Row, type Source } from './row.ts';

export const nothing = fixed('nothing', 'the database does not notice');
export const unjudged = (what: string) => fixed('unknown', what);

interface Family {
  /** First part of the ids. */
  readonly id: string;
  readonly types: readonly string[];
  readonly source: Source;
}

/** Rows with the same judgement for several types. The first type has the id alone. */
export function rows(
  { id, types, source }: Family,
  entries: Readonly<Record<string, readonly [on: Row['on'], judge: Row['judge']]>>,
): Row[] {
  return types.flatMap((type, place) =>
    Object.entries(entries).map(([name, [on, judge]]) => ({
      id:
        place === 0 ? `${id}/${name}` : `${id}/${name}-${type.replace(/^azurerm_/, '').replaceAll('_', '-')}`,
      type,
      on,
      source,
      judge,
    })),
  );
}

/** `every row of the database is gone`. */
export function goneWith(type: string): string {
  const lost = lossOnDestruction[type] ?? 'its content';
  return `${lost} ${/^(?:the (?:keys|audit logs|weekly backups)|every database)\b/.test(lost) ? 'are' : 'is'} gone`;
}

export const destroyed = ({ change }: About): Judgement => ({
  impact: 'data-loss',
  says: `the plan destroys it: ${goneWith(change.type)}`,
});
export const replacedWithLoss = ({ change }: About): Judgement => ({
  impact: 'data-loss',
  says: `the plan destroys and creates it: ${goneWith(change.type)}`,
});

export const weakened = (says: string, ...controls: string[]): Judgement => ({
  impact: 'security-weakened',
  says,
  ...(controls.length > 0 ? { controls } : {}),
});
export const calm = (says: string): Judgement => ({ impact: 'online', says });

/** Number of elements of a list that are only in the value before. */
export function lostElements({ attribute: { before, after } }: Pick<About, 'attribute'>): number {
  const [was, is] = [before, after].map((value) =>
    Array.isArray(value) ? value : value === undefined ? [] : [value],
  );
  return (was ?? []).filter((one) => !(is ?? []).some((other) => equal(one, other))).length;
}

/** Number of elements of a list that are only in the value after. */
export function added({ attribute }: Pick<About, 'attribute'>): number {
  return lostElements({ attribute: { ...attribute, before: attribute.after, after: attribute.before } });
}
