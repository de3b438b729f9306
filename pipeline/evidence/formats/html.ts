/** `index.html`: the pack as one page that needs nothing else. Filters work without them too: everything is listed. */
import { createHash } from 'node:crypto';
import { counted } from '../../../core/text.ts';
import { xml } from '../../../verification/report/junit.ts';
import { frameworkIds, frameworks } from '../frameworks.ts';
import {
  type AssessedControl,
  controlsOf,
  type Report,
  type Row,
  type Verdict,
  verdicts,
} from '../report.ts';
import { script } from './html-script.ts';
import { style } from './html-style.ts';
import { numbersText, shortName, text, waiverText } from './markdown.ts';

export function renderHtml(report: Report): string {
  const { environment, commit, families } = report;
  const scriptHash = createHash('sha256').update(script).digest('base64');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'">
<meta name="color-scheme" content="light dark">
<title>Evidence for ${xml(environment)}</title>
<style>${style}</style>
</head>
<body>
<header>
<p class="kicker">Evidence pack</p>
<h1>${xml(environment)}</h1>
<p class="soft">Commit <code>${xml(commit.hash)}</code> of <time datetime="${xml(commit.time)}">${moment(commit.time)}</time></p>
${
  commit.changed.length > 0
    ? `<p class="draft"><b>Draft.</b> ${counted(commit.changed.length, 'file')} differed from the commit: ${commit.changed
        .slice(0, 5)
        .map((one) => `<code>${xml(one)}</code>`)
        .join(', ')}</p>`
    : ''
}
</header>
<main>
${summary(report)}
${sources(report)}
${releases(report)}
${filters(report)}
<p id="shown" class="soft" role="status"></p>
${families.map(({ prefix, title, controls }) => `<section class="family" aria-labelledby="f-${xml(prefix)}"><h2 id="f-${xml(prefix)}">${xml(title)}</h2>\n${controls.map(control).join('\n')}\n</section>`).join('\n')}
${frameworkTable()}
</main>
<footer>
<p><b>How to read this.</b> <i>holds</i>: a tool saw the value or the answer, at the time beside it. <i>violated</i>: a tool saw another value. <i>waived</i>: violated and accepted by its owner until a date. <i>not collected</i>: a tool could see it, and this pack has no observation of it. <i>no tool sees it</i>: ask for the named document or person; it counts as open, never as passed. <i>not applicable</i>: the environment has no such thing. A control has the worst verdict of its evidence.</p>
<p>Pointers (RFC 6901) lead into <code>cdk.tf.json</code> of this pack. <code>llama-db evidence verify</code> compares every value and every digest.</p>
</footer>
<script>${script}</script>
</body>
</html>
`;
}

/** `24 November 2026, 13:05 UTC`. */
function moment(at: string): string {
  const date = new Date(at);
  const months =
    'January February March April May June July August September October November December'.split(' ');
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]} ${date.getUTCFullYear()}, ${at.slice(11, 16)} UTC`;
}

const slug = (verdict: Verdict) => verdict.replaceAll(' ', '-');

const marks: Readonly<Record<Verdict, string>> = {
  violated: '✕',
  'not collected': '○',
  'no tool sees it': '?',
  waived: '~',
  holds: '✓',
  'not applicable': '–',
};

function badge(verdict: Verdict): string {
  return `<span class="badge ${slug(verdict)}"><span aria-hidden="true">${marks[verdict]}</span> ${verdict}</span>`;
}

function summary(report: Report): string {
  const { counts } = report;
  const total = controlsOf(report).length;
  const present = verdicts.filter((verdict) => counts[verdict] > 0);
  const rows = controlsOf(report).flatMap((one) => one.rows);
  const held = rows.filter(({ verdict }) => verdict === 'holds');
  return `<section aria-label="Summary">
<p class="headline">${counts.holds} of ${total - counts['not applicable']} applicable controls hold in full${counts.waived > 0 ? `; ${counts.waived} more ${counts.waived === 1 ? 'is' : 'are'} waived` : ''}.</p>
<p class="soft">${held.length} of ${rows.length} pieces of evidence hold${held.length < rows.length ? '; the others name what is missing' : ''}.</p>
<div class="bar" aria-hidden="true">${present.map((verdict) => `<span class="${slug(verdict)}" style="flex-grow:${counts[verdict]}"></span>`).join('')}</div>
<ul class="key">${verdicts.map((verdict) => `<li>${badge(verdict)} <b>${counts[verdict]}</b></li>`).join('')}</ul>
</section>`;
}

function sources({ observations, stack, auditHead }: Report): string {
  const kinds = ['verification', 'releases', 'guard', 'audit'] as const;
  const rows = kinds.map((kind) => {
    const found = observations.find((one) => one.kind === kind);
    const when = !found
      ? badge('not collected')
      : found.at === null
        ? 'time not recorded'
        : `<time datetime="${xml(found.at)}">${moment(found.at)}</time>`;
    return `<dt>${kind}</dt><dd>${when}${found ? ` <code>${xml(found.file)}</code>` : ''}</dd>`;
  });
  return `<section aria-labelledby="sources"><h2 id="sources">Collected from</h2><dl>
<dt>stack</dt><dd><code>cdk.tf.json</code>, SHA-256 <code>${xml(stack.sha256)}</code></dd>
${rows.join('\n')}
<dt>audit head</dt><dd>${auditHead === null ? badge('not collected') : `<code>${xml(auditHead)}</code>`}</dd>
</dl></section>`;
}

function releases({ releases: list }: Report): string {
  if (list.length === 0) return '';
  const rows = [...list]
    .reverse()
    .map(
      ({ at, outcome, executor, migrationsDigest, auditHead }) =>
        `<li><b>${xml(outcome)}</b> <time datetime="${xml(at)}">${moment(at)}</time> by ${xml(executor)}<span class="soft small">migrations <code>${xml(migrationsDigest.slice(0, 12))}</code>, audit head ${auditHead === null ? 'none' : `<code>${xml(auditHead.slice(0, 24))}</code>`}</span></li>`,
    );
  return `<section aria-labelledby="releases"><h2 id="releases">Releases</h2><ul class="plain">${rows.join('\n')}</ul></section>`;
}

function filters(report: Report): string {
  const { counts } = report;
  return `<form id="filters" role="search" aria-label="Filter controls" hidden>
<label>Search <input type="search" id="query" placeholder="id, title, value, pointer" autocomplete="off"></label>
<label>Framework <select id="framework"><option value="">all</option>${frameworkIds.map((id) => `<option value="${id}">${xml(shortName(id))}</option>`).join('')}</select></label>
<fieldset><legend>Verdict</legend>${verdicts
    .filter((verdict) => counts[verdict] > 0)
    .map(
      (verdict) =>
        `<label class="choice"><input type="checkbox" name="verdict" value="${slug(verdict)}" checked> ${verdict}</label>`,
    )
    .join('')}</fieldset>
<button type="reset">Show all</button>
</form>`;
}

function control(one: AssessedControl): string {
  const { id, title, why, verdict, rows, mapped, setting } = one;
  const named = frameworkIds.filter((framework) => mapped[framework]);
  return `<article id="${xml(id)}" class="${slug(verdict)}" data-verdict="${slug(verdict)}" data-frameworks="${named.join(' ')}">
<h3><a href="#${xml(id)}"><code>${xml(id)}</code></a> ${xml(title)}</h3>
<p>${badge(verdict)} <span class="soft">${xml(why)}</span></p>
<ul class="mapped">${named.map((framework) => `<li><b>${xml(shortName(framework))}</b> ${xml(numbersText(framework, mapped[framework] ?? []))}</li>`).join('')}</ul>
<ul class="rows">
${rows.map(evidence).join('\n')}
</ul>
${setting === null ? '' : `<p class="soft small">Set by <code>${xml(setting)}</code></p>`}
</article>`;
}

const kinds: Readonly<Record<Row['kind'], string>> = {
  stack: 'stack',
  rule: 'rule',
  check: 'live check',
  record: 'record',
  person: 'ask',
};

function evidence(row: Row): string {
  const waiver = waiverText(row);
  const parts = [
    row.place === '' ? '' : `<code class="place">${xml(row.place)}</code>`,
    row.within === undefined ? '' : `<code class="place">› ${xml(row.within)}</code>`,
    row.value === null
      ? ''
      : `<span class="value">${row.kind === 'stack' ? `<code>${xml(text(row.value))}</code>` : xml(text(row.value))}</span>`,
    row.requires === undefined ? '' : `<span class="soft">required: ${xml(row.requires)}</span>`,
    row.remark === undefined ? '' : `<span class="soft">${xml(row.remark)}</span>`,
    waiver === undefined ? '' : `<span class="waiver">${xml(waiver)}</span>`,
    row.observedAt === null
      ? ''
      : `<time class="soft" datetime="${xml(row.observedAt)}">${moment(row.observedAt)}</time>`,
  ].filter(Boolean);
  return `<li class="${slug(row.verdict)}"><div class="what"><span class="kind">${kinds[row.kind]}</span> ${xml(row.subject)}</div><div class="facts">${parts.join(' ')}</div>${badge(row.verdict)}</li>`;
}

function frameworkTable(): string {
  const rows = frameworkIds.map((id) => {
    const { name, version, url, checked } = frameworks[id];
    return `<li><a href="${xml(url)}" rel="noreferrer">${xml(name)}</a>, ${xml(version)}<span class="soft small">${xml(checked)}</span></li>`;
  });
  return `<section aria-labelledby="frameworks"><h2 id="frameworks">Frameworks and their versions</h2><ul class="plain">${rows.join('\n')}</ul></section>`;
}
