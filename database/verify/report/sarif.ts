import type { Report, Severity } from '../check.ts';

/** SARIF knows three levels; the number is what code scanning sorts by (0-10). */
const levels: Readonly<Record<Severity, { readonly level: string; readonly score: string }>> = {
  critical: { level: 'error', score: '9.5' },
  high: { level: 'error', score: '7.5' },
  medium: { level: 'warning', score: '5.0' },
  low: { level: 'note', score: '2.0' },
};

/**
 * A report as SARIF 2.1.0 (OASIS), for code scanning. Findings lie in a database, not in a file: each is a
 * logical location, with the migrations folder as the place where the mending starts.
 */
export function sarifDocument(report: Report) {
  return {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'llama-db verify',
            rules: report.checks.map(({ check }) => ({
              id: check.id,
              name: check.id.replace('-', ''),
              shortDescription: { text: check.title },
              fullDescription: { text: check.why },
              help: { text: `${check.mend}\n\nLooks at: ${check.looksAt}\nSource: ${check.source}` },
              defaultConfiguration: { level: levels[check.severity].level },
              properties: { 'security-severity': levels[check.severity].score, tags: [check.group] },
            })),
          },
        },
        results: report.checks.flatMap(({ check, outcome }, ruleIndex) => {
          if (outcome.status !== 'failed') return [];
          return outcome.findings.map(({ object, detail }) => ({
            ruleId: check.id,
            ruleIndex,
            level: levels[check.severity].level,
            message: { text: `${object}: ${detail}. ${check.mend}` },
            locations: [
              {
                physicalLocation: { artifactLocation: { uri: 'migrations' } },
                logicalLocations: [{ fullyQualifiedName: object }],
              },
            ],
            partialFingerprints: { finding: `${check.id} ${object}` },
          }));
        }),
        invocations: [
          {
            executionSuccessful: true,
            toolConfigurationNotifications: report.checks.flatMap(({ check, outcome }) =>
              outcome.status === 'skipped'
                ? [{ level: 'note', message: { text: `${check.id} was skipped: ${outcome.reason}` } }]
                : [],
            ),
          },
        ],
      },
    ],
  };
}
