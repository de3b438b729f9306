import type { Severity } from './severity.ts';

/** SARIF has three levels; code scanning sorts by the score (0-10). */
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
  /** Readable name beside the id. @default - the id without its dashes */
  readonly name?: string;
  readonly severity: Severity;
  readonly title: string;
  readonly why: string;
  readonly help: string;
  readonly tags: readonly string[];
}

/** A run of one of this project's tools as SARIF 2.1.0 (OASIS), for code scanning. */
export function sarifLog<Result extends object>(run: {
  readonly tool: string;
  readonly rules: readonly SarifRule[];
  readonly results: readonly Result[];
  /** Reasons why the run is incomplete. */
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
            rules: run.rules.map(
              ({ id, name = id.replaceAll('-', ''), severity, title, why, help, tags }) => ({
                id,
                name,
                shortDescription: { text: title },
                fullDescription: { text: why },
                help: { text: help },
                defaultConfiguration: { level: levels[severity].level },
                properties: { 'security-severity': levels[severity].score, tags },
              }),
            ),
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
