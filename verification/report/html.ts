import { type Severity, severities } from '../../core/severity.ts';
import { sources } from '../../core/sources.ts';
import { duration } from '../../core/text.ts';
import { type CheckResult, groups, type Report } from '../check.ts';
import { counted } from '../outcome.ts';
import { unreadChecks, type Verdict } from '../verdict.ts';
import { groupTexts } from './groups.ts';
import { style } from './html-style.ts';
import { xml } from './junit.ts';

export interface HtmlOptions {
  /** Host and database. */
  readonly subject: string;
  /** Name of the environment. @default - the subject is the heading */
  readonly environment?: string;
  /** @default - derived from the report */
  readonly verdict?: Verdict;
  /** @default - now */
  readonly at?: Date;
}

type Status = 'passed' | 'failed' | 'skipped';

/**
 * A report as one self-contained page, without scripts, fonts or requests: the verdict, the findings with their remedy,
 * the skipped checks with their reason, the sums, the passed checks.
 */
export function renderHtml(report: Report, options: HtmlOptions): string {
  const { subject, environment, at = new Date() } = options;
  const failed = withStatus(report, 'failed').sort((a, b) => rank(a) - rank(b));
  const skipped = withStatus(report, 'skipped');
  const passed = withStatus(report, 'passed');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Verification of ${xml(environment ? `${environment}: ${subject}` : subject)}</title>
<style>${style}</style>
</head>
<body>
<header>
<p class="kicker">Database verification</p>
<h1>${xml(environment ?? subject)}</h1>
${environment ? `<p class="where">${xml(subject)}</p>` : ''}
<p class="soft"><time datetime="${at.toISOString()}">${moment(at)}</time> · ${counted(report.checks.length, 'check')} in ${duration(report.durationMs)}</p>
${origin(report)}
</header>
<main>
${verdict(report, failed, options.verdict)}
${bar(report)}
${contents(failed, skipped, passed)}
${section('found', 'Findings', findings(failed))}
${section('skipped', 'Skipped checks', skippedByReason(skipped))}
${section('groups', 'Groups', sums(report))}
${section('passed', 'Passed checks', passedByGroup(passed))}
</main>
<footer>
<p><b>How to read this.</b> A check that could not read its facts is <i>skipped</i>, never <i>passed</i>. Severities: <b>critical</b> means that data, keys, evidence, isolation or the service is lost now; <b>high</b>, that one more fault or a foreseeable event loses it; <b>medium</b>, that it costs time or money; <b>low</b>, that it misleads somebody. <code>llama-db explain &lt;id or name&gt;</code> prints all texts of a check.</p>
</footer>
</body>
</html>
`;
}

/** Which server, login and state of the audit trail the report is of, and which sources made it. */
function origin({ subject: { version, login, auditHead } }: Report): string {
  const made = sources();
  return `<dl class="origin">
<dt>Server</dt><dd>PostgreSQL ${xml(version)}</dd>
<dt>Login</dt><dd>${xml(login)}</dd>
<dt>Audit head</dt><dd>${auditHead ? `<code>${xml(auditHead)}</code>` : 'none was read'}</dd>
<dt>llama-db</dt><dd>${xml(made.version)}, commit <code>${xml(made.commit)}</code></dd>
</dl>`;
}

function withStatus({ checks }: Report, status: Status): CheckResult[] {
  return checks.filter(({ outcome }) => outcome.status === status);
}

const rank = ({ check }: CheckResult) => severities.indexOf(check.severity);

/** `24 November 2026, 13:05 UTC`. */
function moment(at: Date): string {
  const day = at.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
  return `${day}, ${at.toISOString().slice(11, 16)} UTC`;
}

function verdict(report: Report, failed: readonly CheckResult[], given?: Verdict): string {
  const { counts } = report;
  const skipped =
    counts.skipped > 0 ? ` ${counted(counts.skipped, 'check')} skipped, with the reason below.` : '';
  const box = (kind: string, mark: string, headline: string, rest: string) =>
    `<section class="verdict ${kind}" aria-label="Verdict"><span class="mark" aria-hidden="true">${mark}</span><div><p class="headline">${headline}</p><p>${rest}</p></div></section>`;
  const unread = unreadChecks(report).length;
  if (failed.length > 0) {
    const urgent = failed.filter(({ check }) => isUrgent(check.severity)).length;
    const objects = failed.reduce(
      (sum, { outcome }) => sum + (outcome.status === 'failed' ? outcome.findings.length : 0),
      0,
    );
    const extent = `${counted(objects, 'finding')} in ${counted(failed.length, 'check')} of ${counts.passed + counts.failed}.`;
    return urgent > 0
      ? box(
          'bad',
          '✕',
          `${counted(urgent, 'serious problem')} must be fixed.`,
          `${bySeverity(failed)}: ${extent}${skipped}`,
        )
      : box(
          'warn',
          '!',
          'No serious problem was found, but some should be fixed.',
          `${bySeverity(failed)}: ${extent}${skipped}`,
        );
  }
  if (given?.exitCode === 2) {
    return box(
      'warn',
      '?',
      unread > 0
        ? `The result is incomplete: ${counted(unread, 'check')} could not read what they inspect.`
        : 'The result is incomplete: required checks were skipped.',
      xml(given.reasons.slice(0, 3).join(' · ')),
    );
  }
  return box(
    'good',
    '✓',
    counts.skipped > 0 ? 'No problem was found.' : 'Every check passed.',
    `${counted(counts.passed, 'check')} passed.${skipped}`,
  );
}

const isUrgent = (severity: Severity) => severity === 'critical' || severity === 'high';

/** `1 critical, 2 high`. */
function bySeverity(failed: readonly CheckResult[]): string {
  return severities
    .map((severity) => [failed.filter(({ check }) => check.severity === severity).length, severity] as const)
    .filter(([number]) => number > 0)
    .map(([number, severity]) => `${number} ${severity}`)
    .join(', ');
}

function bar({ counts }: Report): string {
  const part = (status: Status) =>
    counts[status] > 0 ? `<span class="${status}" style="flex-grow:${counts[status]}"></span>` : '';
  const key = (status: Status, label: string) =>
    `<li class="${status}"><b>${counts[status]}</b> ${label}</li>`;
  return `<div class="bar" aria-hidden="true">${part('failed')}${part('skipped')}${part('passed')}</div>
<ul class="key">${key('passed', 'passed')}${key('failed', 'failed')}${key('skipped', 'skipped')}</ul>`;
}

function contents(
  failed: readonly CheckResult[],
  skipped: readonly CheckResult[],
  passed: readonly CheckResult[],
): string {
  const links = [
    failed.length > 0 ? `<a href="#found">Findings</a>` : '',
    skipped.length > 0 ? `<a href="#skipped">Skipped checks</a>` : '',
    `<a href="#groups">Groups</a>`,
    passed.length > 0 ? `<a href="#passed">Passed checks</a>` : '',
  ];
  return `<nav aria-label="On this page">${links.filter(Boolean).join('')}</nav>`;
}

function section(id: string, title: string, body: string): string {
  return body === ''
    ? ''
    : `<section id="${id}" aria-labelledby="${id}-title">\n<h2 id="${id}-title">${title}</h2>\n${body}\n</section>`;
}

const shown = 20;

function findings(failed: readonly CheckResult[]): string {
  return failed
    .map(({ check, outcome }) => {
      if (outcome.status !== 'failed') return '';
      const items = outcome.findings
        .slice(0, shown)
        .map(({ object, detail }) => `<li><code>${xml(object)}</code> ${xml(detail)}</li>`);
      const more = outcome.findings.length - shown;
      if (more > 0) items.push(`<li class="soft">and ${more} more; the JSON report lists all of them</li>`);
      return `<article class="${check.severity}">
<h3><span class="badge">${check.severity}</span> ${xml(check.title)}</h3>
<p class="soft"><b class="state">Failed</b> · ${groupTexts[check.group].title} · <code>${check.id}</code> <code>${check.name}</code></p>
<ul>
${items.join('\n')}
</ul>
<dl>
<dt>Why it matters</dt><dd>${xml(check.why)}</dd>
<dt>Remedy</dt><dd>${xml(check.remedy)}</dd>
<dt>Inspected</dt><dd>${xml(check.inspects)}${outcome.inspected ? ` — ${xml(outcome.inspected)}` : ''}</dd>
<dt>Source</dt><dd>${xml(check.source)}</dd>
</dl>
</article>`;
    })
    .join('\n');
}

/** Grouped by reason, which many checks can share. */
function skippedByReason(skipped: readonly CheckResult[]): string {
  const byReason = new Map<string, CheckResult[]>();
  for (const result of skipped) {
    const reason = result.outcome.status === 'skipped' ? result.outcome.reason : '';
    byReason.set(reason, [...(byReason.get(reason) ?? []), result]);
  }
  return [...byReason]
    .map(([reason, results]) => {
      const list = results
        .map(
          ({ check }) => `<li>${xml(check.title)} <code>${check.id}</code> <code>${check.name}</code></li>`,
        )
        .join('\n');
      return `<div class="reason"><p><b>${sentence(xml(reason))}</b></p>
<details${results.length <= 3 ? ' open' : ''}><summary>${counted(results.length, 'check')}</summary><ul>
${list}
</ul></details></div>`;
    })
    .join('\n');
}

/** Capitalizes a sentence, unless it starts with a name like pg_cron. */
function sentence(text: string): string {
  return /^[a-z']+ /.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

function sums({ checks }: Report): string {
  const rows = groups.flatMap((group) => {
    const results = checks.filter(({ check }) => check.group === group);
    if (results.length === 0) return [];
    const number = (status: Status) => results.filter(({ outcome }) => outcome.status === status).length;
    const cell = (status: Status) =>
      `<td class="number ${number(status) > 0 ? status : 'none'}">${number(status)}</td>`;
    const { title, about } = groupTexts[group];
    return [
      `<tr><th scope="row">${title}<span class="soft"> ${xml(about)}</span></th>${cell('passed')}${cell('failed')}${cell('skipped')}</tr>`,
    ];
  });
  return `<table><thead><tr><th scope="col">Group</th><th scope="col" class="number">passed</th><th scope="col" class="number">failed</th><th scope="col" class="number">skipped</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table>`;
}

function passedByGroup(passed: readonly CheckResult[]): string {
  return groups
    .map((group) => {
      const results = passed.filter(({ check }) => check.group === group);
      if (results.length === 0) return '';
      const items = results.map(({ check, outcome }) => {
        const inspected = outcome.status === 'passed' ? outcome.inspected : '';
        return `<li>${xml(check.title)} <code>${check.id}</code> <code>${check.name}</code><span class="soft inspected">${xml(inspected)}</span></li>`;
      });
      return `<details><summary>${groupTexts[group].title} <span class="soft">${counted(results.length, 'check')}</span></summary><ul class="plain">
${items.join('\n')}
</ul></details>`;
    })
    .filter(Boolean)
    .join('\n');
}
