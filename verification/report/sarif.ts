import { sarifLevel, sarifLog } from '../../core/sarif.ts';
import type { Report } from '../check.ts';

/**
 * A report as SARIF. A finding is in a database, not in a file: it has a logical location, and the migrations folder as
 * its physical location, because most fixes start there.
 */
export function sarifDocument(report: Report) {
  return sarifLog({
    tool: 'llama-db verify',
    rules: report.checks.map(
      ({ check: { id, name, severity, title, why, remedy, inspects, source, group } }) => ({
        id,
        name,
        severity,
        title,
        why,
        help: `${remedy}\n\nInspects: ${inspects}\nSource: ${source}`,
        tags: [group],
      }),
    ),
    results: report.checks.flatMap(({ check, outcome }, ruleIndex) => {
      if (outcome.status !== 'failed') return [];
      return outcome.findings.map(({ object, detail }) => ({
        ruleId: check.id,
        ruleIndex,
        level: sarifLevel(check.severity).level,
        message: { text: `${object}: ${detail}. ${check.remedy}` },
        locations: [
          {
            physicalLocation: { artifactLocation: { uri: 'migrations' } },
            logicalLocations: [{ fullyQualifiedName: object }],
          },
        ],
        partialFingerprints: { finding: `${check.id} ${object}` },
      }));
    }),
    notes: report.checks.flatMap(({ check, outcome }) =>
      outcome.status === 'skipped' ? [`${check.id} was skipped: ${outcome.reason}`] : [],
    ),
  });
}
