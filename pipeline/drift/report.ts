/** The report about drift for a terminal, in the form of the guard's. */
import { counted, wrapped } from '../../core/text.ts';
import type { DriftedResource, DriftReport } from './drift.ts';

const width = 80;

export function renderDrift(report: DriftReport): string {
  const { environment, resources, expected, checks, unread, exitCode } = report;
  const head =
    exitCode === 0
      ? `${environment}: nothing differs.`
      : exitCode === 1
        ? `${environment}: nothing that could be compared differs, and something could not be compared.`
        : `${environment}: ${counted(resources.length, 'resource')} and ${counted(checks.length, 'check')} differ.`;
  const lines = [
    wrapped(head, width),
    ...section('Changed outside Terraform', resources.flatMap(describe)),
    ...section(
      'Differs from the release',
      checks.flatMap(({ id, severity, title, findings }) => [
        `${id} (${severity}) ${title}`,
        ...findings.map((one) => `  ${one}`),
      ]),
    ),
    ...section('Left to Azure by the stack', expected.flatMap(describe)),
    ...section('Not compared', unread),
    ...(exitCode === 2
      ? [
          '',
          wrapped(
            `Take it back by hand, take it over in environments/${environment}.ts, or release again: docs/promoting.md.`,
            width,
          ),
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function section(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : ['', `${title}:`, ...items.map((one) => wrapped(`  ${one}`, width, 4))];
}

const describe = ({ address, action, changes }: DriftedResource) =>
  changes.length === 0
    ? [`${address}: ${action === 'delete' ? 'it is gone' : action}`]
    : [address, ...changes.map((one) => `  ${one}`)];
