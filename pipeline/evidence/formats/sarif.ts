/** `controls.sarif`: what an environment file can change, located in it, for code scanning. */
import { sarifLevel, sarifLog } from '../../../core/sarif.ts';
import { frameworkIds } from '../frameworks.ts';
import { type AssessedControl, controlsOf, type Report } from '../report.ts';
import { mappedTo, numbersText, shortName, text, waiverText } from './markdown.ts';

const severity = 'high';

/** @param settings text of the environment file, for line numbers */
export function sarifOf(report: Report, settings: string) {
  const controls = controlsOf(report);
  return sarifLog({
    tool: 'llama-db evidence',
    rules: controls.map((control) => ({
      id: control.id,
      severity,
      title: control.title,
      why: control.why,
      help: `${control.title}.\n\n${control.why}\n\n${mappedTo(control.mapped)}`,
      tags: frameworkIds
        .filter((framework) => control.mapped[framework])
        .map(
          (framework) =>
            `${shortName(framework)}: ${numbersText(framework, control.mapped[framework] ?? [])}`,
        ),
    })),
    results: controls.flatMap((control, ruleIndex) =>
      control.rows
        .filter(({ verdict }) => verdict === 'violated' || verdict === 'waived')
        .map((row) => ({
          ruleId: control.id,
          ruleIndex,
          level: sarifLevel(severity).level,
          message: {
            text: `${row.subject}: ${row.value === null ? 'not set' : text(row.value)}${row.requires === undefined ? '' : `, required: ${row.requires}`}. ${control.why}`,
          },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: `environments/${report.environment}.ts` },
                region: { startLine: lineOf(control, settings) },
              },
              logicalLocations: [{ fullyQualifiedName: row.place }],
            },
          ],
          partialFingerprints: { evidence: `${control.id} ${row.place} ${row.within ?? ''}`.trim() },
          ...(row.verdict === 'waived'
            ? { suppressions: [{ kind: 'external', justification: waiverText(row) ?? 'accepted' }] }
            : {}),
        })),
    ),
    notes: controls
      .filter(({ verdict }) => verdict === 'not collected' || verdict === 'no tool sees it')
      .map(({ id, title, verdict }) => `${id} ${title}: ${verdict}`),
  });
}

/** The line of the deepest part of the setting that the file has; the first line if it has none of it. */
export function lineOf({ setting }: Pick<AssessedControl, 'setting'>, settings: string): number {
  let offset = 0;
  let line = 1;
  for (const key of setting?.split('.') ?? []) {
    const found = new RegExp(`^\\s*${key}: `, 'm').exec(settings.slice(offset));
    if (!found) break;
    offset += found.index + found[0].length;
    line = settings.slice(0, offset).split('\n').length;
  }
  return line;
}
