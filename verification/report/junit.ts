import { sources } from '../../core/sources.ts';
import type { CheckResult, Report } from '../check.ts';

/** A report as JUnit XML, for pipelines that show test results: one suite per group, one case per check. */
export function renderJunit(report: Report): string {
  const groups = new Map<string, CheckResult[]>();
  for (const result of report.checks) {
    const group = groups.get(result.check.group) ?? [];
    group.push(result);
    groups.set(result.check.group, group);
  }
  const { subject, counts, checks, durationMs } = report;
  const { version, commit } = sources();
  const about = {
    server: `PostgreSQL ${subject.version}`,
    login: subject.login,
    'audit head': subject.auditHead ?? 'none',
    'llama-db': version,
    commit,
  };
  const properties = Object.entries(about).map(
    ([name, value]) => `    <property name="${name}" value="${xml(value)}"/>`,
  );
  const suites = [...groups].map(([group, results]) => {
    const number = (status: string) => results.filter(({ outcome }) => outcome.status === status).length;
    const attributes = `name="${group}" tests="${results.length}" failures="${number('failed')}" skipped="${number('skipped')}"`;
    return `  <testsuite ${attributes}>\n${results.map(testcase).join('\n')}\n  </testsuite>`;
  });
  const sums = `tests="${checks.length}" failures="${counts.failed}" skipped="${counts.skipped}" time="${(durationMs / 1000).toFixed(3)}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="llama-db verify" ${sums}>\n  <properties>\n${properties.join('\n')}\n  </properties>\n${suites.join('\n')}\n</testsuites>\n`;
}

function testcase({ check, outcome }: CheckResult): string {
  const open = `    <testcase classname="${check.group}" name="${xml(`${check.id} ${check.name}: ${check.title}`)}"`;
  if (outcome.status === 'passed') return `${open}/>`;
  if (outcome.status === 'skipped') {
    return `${open}>\n      <skipped message="${xml(outcome.reason)}"/>\n    </testcase>`;
  }
  const lines = outcome.findings.map(({ object, detail }) => `${object}: ${detail}`);
  const text = [...lines, `Remedy: ${check.remedy}`, `Source: ${check.source}`].join('\n');
  const message = `${check.severity}: ${lines[0] ?? check.title}${lines.length > 1 ? ` and ${lines.length - 1} more` : ''}`;
  return `${open}>\n      <failure type="${check.severity}" message="${xml(message)}">${xml(text)}</failure>\n    </testcase>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Escapes text and attribute values for XML and HTML. Control characters, which XML forbids, become U+FFFD. */
export function xml(text: string): string {
  return [...text]
    .map((character) => {
      const code = character.codePointAt(0) ?? 0;
      if (code < 32 && !['\n', '\t'].includes(character)) return '\uFFFD';
      return entities[character] ?? character;
    })
    .join('');
}
