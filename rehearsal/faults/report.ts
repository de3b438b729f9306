/** The recoveries of operations from their faults, one paragraph per kind of operation. */
import { wrapped } from '../../core/text.ts';
import type { Case, Recovery } from './convergence.ts';
import { faultKinds } from './fault-kinds.ts';

const words: readonly Recovery[] = ['retried', 'kept', 'next deployment', 'adopt'];

export function renderCases(cases: readonly Case[]): string {
  const faults = faultKinds.map(({ name }) => name).filter((name) => cases.some((one) => one.fault === name));
  const kinds = [...new Set(cases.map(kindOf))];
  return kinds
    .map((kind) => {
      const own = cases.filter((one) => kindOf(one) === kind);
      const outcomes = faults.flatMap((fault) => {
        const recovered = recoveriesOf(own.filter((one) => one.fault === fault));
        return recovered === '' ? [] : [`${fault}: ${recovered}`];
      });
      return `${kind}\n  ${wrapped(outcomes.join('; '), 78, 2)}`;
    })
    .join('\n');
}

/** The method and the resource types, without names: `PUT flexibleServers/databases`. */
function kindOf({ operation }: Case): string {
  const [, plain = '', remark = ''] = /^(.*?)( \([^)]*\))?$/.exec(operation) ?? [];
  const [method = '', ...path] = plain.split(' ');
  const parts = (path.at(-1) ?? '').split('/');
  // The path of a resource group has no type before its name.
  const types = parts.length === 1 ? ['resourceGroups'] : parts.filter((_, index) => index % 2 === 1);
  return `${method} ${types.join('/')}${remark}`;
}

function recoveriesOf(cases: readonly Case[]): string {
  return words
    .map((word) => [word, cases.filter(({ recovery }) => recovery === word).length] as const)
    .filter(([, count]) => count > 0)
    .map(([word, count]) => (count === 1 && cases.length === 1 ? word : `${word} ${count}`))
    .join(', ');
}
