import { duration } from '../../report.ts';
import { type CheckResult, groups, type Report, severities } from '../check.ts';
import { counted } from '../outcome.ts';
import { xml } from './junit.ts';

export interface HtmlOptions {
  /** What was verified: environment, host, database. */
  readonly subject: string;
  /** @default - now */
  readonly at?: Date;
}

const style = `
:root{color-scheme:light dark;--bad:#b3261e;--warn:#8a5a00;--good:#1b6e3c;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.5rem 0 .5rem}p{margin:.3rem 0}
.verdict{font-size:1.2rem;font-weight:600;padding:.8rem 1rem;border-left:.4rem solid;margin:1.2rem 0;background:var(--soft)}
.bad{color:var(--bad)}.warn{color:var(--warn)}.good{color:var(--good)}.soft{opacity:.75}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}
article{border:1px solid var(--line);border-radius:.4rem;padding:.8rem 1rem;margin:.8rem 0}
article h3{font-size:1rem;margin:0}ul{margin:.4rem 0;padding-left:1.2rem}code{font-size:.9em}
details summary{cursor:pointer;padding:.3rem 0}@media print{details{display:block}}
@media(prefers-color-scheme:dark){:root{--bad:#ff8a80;--warn:#ffca6b;--good:#7fd49b}}`;

/** A report as one page that needs nothing else: no script, no font, no request; readable, and printable, by anyone. */
export function renderHtml(report: Report, { subject, at = new Date() }: HtmlOptions): string {
  const failed = report.checks
    .filter(({ outcome }) => outcome.status === 'failed')
    .sort((a, b) => severities.indexOf(a.check.severity) - severities.indexOf(b.check.severity));
  const skipped = report.checks.filter(({ outcome }) => outcome.status === 'skipped');
  const passed = report.checks.filter(({ outcome }) => outcome.status === 'passed');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Verification of ${xml(subject)}</title>
<style>${style}</style>
</head>
<body>
<h1>Verification of ${xml(subject)}</h1>
<p class="soft">${at.toISOString()}, ${report.checks.length} checks in ${duration(report.durationMs)}</p>
${verdict(report, failed)}
${sums(report)}
${section('What was found', failed, finding)}
${section('What could not be looked at', skipped, (result) => line(result, reasonOf(result)))}
${section('What holds', passed, (result) => line(result, lookedOf(result)), true)}
</body>
</html>
`;
}

function verdict({ counts }: Report, failed: readonly CheckResult[]): string {
  const unseen = counts.skipped > 0 ? ` ${counts.skipped} could not be looked at.` : '';
  if (failed.length === 0) {
    return `<p class="verdict good">Nothing was found. ${counted(counts.passed, 'check')} passed.${unseen}</p>`;
  }
  const urgent = failed.filter(({ check }) => ['critical', 'high'].includes(check.severity)).length;
  const colour = urgent > 0 ? 'bad' : 'warn';
  return `<p class="verdict ${colour}">${counted(failed.length, 'check')} found something, ${urgent} of them critical or high.${unseen}</p>`;
}

function sums({ checks }: Report): string {
  const rows = groups.flatMap((group) => {
    const results = checks.filter(({ check }) => check.group === group);
    if (results.length === 0) return [];
    const cell = (status: string, colour: string) => {
      const number = results.filter(({ outcome }) => outcome.status === status).length;
      return `<td${number > 0 && colour ? ` class="${colour}"` : ''}>${number}</td>`;
    };
    return [
      `<tr><th>${group}</th>${cell('passed', '')}${cell('failed', 'bad')}${cell('skipped', 'soft')}</tr>`,
    ];
  });
  return `<table><thead><tr><th>Group</th><th>passed</th><th>failed</th><th>skipped</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

function section(
  title: string,
  results: readonly CheckResult[],
  render: (result: CheckResult) => string,
  folded = false,
): string {
  if (results.length === 0) return '';
  const body = results.map(render).join('\n');
  return folded
    ? `<h2>${title}</h2>\n<details><summary>${counted(results.length, 'check')}</summary>\n${body}\n</details>`
    : `<h2>${title}</h2>\n${body}`;
}

function finding({ check, outcome }: CheckResult): string {
  const found = outcome.status === 'failed' ? outcome.findings : [];
  const colour = ['critical', 'high'].includes(check.severity) ? 'bad' : 'warn';
  return `<article>
<h3><span class="${colour}">${check.severity}</span> ${xml(check.title)} <code>${check.id}</code></h3>
<ul>
${found.map(({ object, detail }) => `<li><code>${xml(object)}</code>: ${xml(detail)}</li>`).join('\n')}
</ul>
<p><b>Why it matters</b> ${xml(check.why)}</p>
<p><b>How to mend it</b> ${xml(check.mend)}</p>
<p class="soft">Looked at: ${xml(lookedOf({ check, outcome }))}. Source: ${xml(check.source)}</p>
</article>`;
}

function line({ check }: CheckResult, rest: string): string {
  return `<p>${xml(check.title)} <code>${check.id}</code><br><span class="soft">${xml(rest)}</span></p>`;
}

function reasonOf({ outcome }: CheckResult): string {
  return outcome.status === 'skipped' ? outcome.reason : '';
}

function lookedOf({ outcome }: CheckResult): string {
  return outcome.status === 'skipped' ? '' : outcome.looked;
}
