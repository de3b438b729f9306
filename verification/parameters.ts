import type { Outcome } from './check.ts';
import { judge, skip } from './outcome.ts';
import type { Setting, Snapshot } from './snapshot/snapshot.ts';

export interface Wanted {
  readonly name: string;
  readonly holds: (value: string) => boolean;
  /** The expected value, as a finding shows it. */
  readonly expected: string;
}

export const on = (name: string): Wanted => ({ name, holds: (value) => value === 'on', expected: 'on' });
export const limited = (name: string): Wanted => ({
  name,
  holds: (value) => Number(value) > 0,
  expected: 'a limit (0 is no limit)',
});

/**
 * Compares parameters that a deployment sets. Skips if a server that is not Azure's has the built-in values: they say
 * nothing about a deployment.
 */
export function parameters(snapshot: Snapshot, wanted: readonly Wanted[]): Outcome {
  const judged = wanted.flatMap(({ name, holds, expected }) => {
    const setting = snapshot.settings.get(name);
    if (!setting || !(snapshot.server.isAzure || setting.value !== setting.builtIn)) return [];
    return [{ name, setting, expected, fine: holds(setting.value) }];
  });
  if (judged.length === 0) {
    return skip(
      `${wanted.map(({ name }) => name).join(', ')} have the built-in values of a server that is not Azure's`,
    );
  }
  return judge(
    judged.map(({ name, setting }) => `${name} = ${withUnit(setting)}`).join(', '),
    judged
      .filter(({ fine }) => !fine)
      .map(({ name, setting, expected }) => ({
        object: `parameter ${name}`,
        detail: `is ${withUnit(setting)}, expected ${expected}`,
      })),
  );
}

/** Whether two spellings mean the same value: 1 and 1.0, ON and on, lists in another order. */
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
