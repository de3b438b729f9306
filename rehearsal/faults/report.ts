/** The recoveries of operations from their faults, as a table with one row per kind of operation. */
import Table from 'cli-table3';
import type { Case, Recovery } from './convergence.ts';
import { faultKinds } from './fault-kinds.ts';

const words: readonly Recovery[] = ['retried', 'kept', 'next deployment', 'adopt'];

export function renderCases(cases: readonly Case[]): string {
  const faults = faultKinds.map(({ name }) => name).filter((name) => cases.some((one) => one.fault === name));
  const kinds = [...new Set(cases.map(kindOf))];
  const table = new Table({ head: ['operation', ...faults], style: { head: [], border: [] } });
  for (const kind of kinds) {
    const own = cases.filter((one) => kindOf(one) === kind);
    table.push([kind, ...faults.map((fault) => cellOf(own.filter((one) => one.fault === fault)))]);
  }
  return table.toString();
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

function cellOf(cases: readonly Case[]): string {
  if (cases.length === 0) return '';
  return words
    .map((word) => [word, cases.filter(({ recovery }) => recovery === word).length] as const)
    .filter(([, count]) => count > 0)
    .map(([word, count]) => (count === 1 && cases.length === 1 ? word : `${word} ${count}`))
    .join('\n');
}
