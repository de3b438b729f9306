import type { Outcome } from './check.ts';
import { judge, skip } from './outcome.ts';
import type { Setting, Snapshot } from './snapshot/facts.ts';

export interface Wanted {
  readonly name: string;
  readonly holds: (value: string) => boolean;
  /** What it should be, as a person would say it. */
  readonly should: string;
}

export const on = (name: string): Wanted => ({ name, holds: (value) => value === 'on', should: 'on' });
export const limited = (name: string): Wanted => ({
  name,
  holds: (value) => Number(value) > 0,
  should: 'limited (0 is no limit)',
});

/**
 * Judges parameters that a deployment sets. A server that is not Azure's, which nobody configured, has the
 * built-in values: those say nothing about a deployment.
 */
export function parameters(snapshot: Snapshot, wanted: readonly Wanted[]): Outcome {
  const judged = wanted.flatMap(({ name, holds, should }) => {
    const setting = snapshot.settings.get(name);
    if (!setting || !(snapshot.server.isAzure || setting.value !== setting.builtIn)) return [];
    return [{ name, setting, should, fine: holds(setting.value) }];
  });
  if (judged.length === 0) {
    return skip(
      `${wanted.map(({ name }) => name).join(', ')} stand at the built-in value of a server that is not Azure's`,
    );
  }
  return judge(
    judged.map(({ name, setting }) => `${name} = ${withUnit(setting)}`).join(', '),
    judged
      .filter(({ fine }) => !fine)
      .map(({ name, setting, should }) => ({
        object: `parameter ${name}`,
        detail: `is ${withUnit(setting)}, should be ${should}`,
      })),
  );
}

/** The same value, however the two sides write it: 1 and 1.0, ON and on, lists in another order. */
export function sameValue(one: string, other: string): boolean {
  if (one === other) return true;
  if (one !== '' && other !== '' && Number(one) === Number(other)) return true;
  const members = (text: string) =>
    text
      .toLowerCase()
      .split(',')
      .map((member) => member.trim())
      .sort()
      .join(',');
  return members(one) === members(other);
}

function withUnit({ value, unit }: Setting): string {
  return unit ? `${value} ${unit}` : value || "''";
}
