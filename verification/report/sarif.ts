import { sarifLevel, sarifLog } from '../../core/sarif.ts';
import type { Report } from '../check.ts';

/**
 * A report as SARIF. Findings lie in a database, not in a file: each is a logical location, with the migrations folder
 * as the place where the mending starts.
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
