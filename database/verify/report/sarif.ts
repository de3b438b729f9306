import type { Report, Severity } from '../check.ts';

/** SARIF knows three levels; the number is what code scanning sorts by (0-10). */
const levels: Readonly<Record<Severity, { readonly level: string; readonly score: string }>> = {
  critical: { level: 'error', score: '9.5' },
  high: { level: 'error', score: '7.5' },
  medium: { level: 'warning', score: '5.0' },
  low: { level: 'note', score: '2.0' },
};

export function sarifLevel(severity: Severity): { readonly level: string; readonly score: string } {
  return levels[severity];
}

export interface SarifRule {
  readonly id: string;
  readonly severity: Severity;
  readonly title: string;
  readonly why: string;
  readonly help: string;
  readonly tags: readonly string[];
}

/** A run of one of our tools as SARIF 2.1.0 (OASIS), for code scanning. */
export function sarifLog<Result extends object>(run: {
  readonly tool: string;
  readonly rules: readonly SarifRule[];
  readonly results: readonly Result[];
  /** What could not be looked at. */
  readonly notes: readonly string[];
}) {
  return {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: run.tool,
            rules: run.rules.map(({ id, severity, title, why, help, tags }) => ({
              id,
              name: id.replaceAll('-', ''),
              shortDescription: { text: title },
              fullDescription: { text: why },
              help: { text: help },
              defaultConfiguration: { level: levels[severity].level },
              properties: { 'security-severity': levels[severity].score, tags },
            })),
          },
        },
        results: run.results,
        invocations: [
          {
            executionSuccessful: true,
            toolConfigurationNotifications: run.notes.map((text) => ({ level: 'note', message: { text } })),
          },
        ],
      },
    ],
  };
}

/**
 * A report as SARIF. Findings lie in a database, not in a file: each is a logical location, with the migrations folder
 * as the place where the mending starts.
 */
export function sarifDocument(report: Report) {
  return sarifLog({
    tool: 'llama-db verify',
    rules: report.checks.map(({ check: { id, severity, title, why, mend, looksAt, source, group } }) => ({
      id,
      severity,
      title,
      why,
      help: `${mend}\n\nLooks at: ${looksAt}\nSource: ${source}`,
      tags: [group],
    })),
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
    notes: report.checks.flatMap(({ check, outcome }) =>
      outcome.status === 'skipped' ? [`${check.id} was skipped: ${outcome.reason}`] : [],
    ),
  });
}
