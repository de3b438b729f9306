/** The report as one page without scripts, fonts or requests: the result, the chain of operations, every verdict. */
import { counted } from '../../../core/text.ts';
import { style } from '../../../verification/report/html-style.ts';
import { xml } from '../../../verification/report/junit.ts';
import type { GuardReport, Refusal } from '../guard.ts';
import { type Impact, impacts, impactTexts } from '../impacts.ts';
import type { Verdict } from '../judge.ts';
import { drawChain, pictureStyle } from './picture.ts';
import {
  controlsText,
  costOf,
  driftLines,
  headline,
  ignoredEdits,
  othersLine,
  rangeText,
  sourceText,
  sumsOf,
  warningLines,
} from './words.ts';

const kinds = { 0: ['good', '✓'], 2: ['warn', '!'], 3: ['bad', '✕'] } as const;

export function renderHtml(report: GuardReport): string {
  const [kind, mark] = kinds[report.exitCode];
  const title = `Plan of ${report.environment}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${xml(title)}</title>
<style>${style}${pictureStyle}</style>
</head>
<body>
<header>
<p class="kicker">Effects of a plan on the database</p>
<h1>${xml(report.environment)}</h1>
<p class="soft">Terraform ${xml(report.terraformVersion)} · ${xml(sumsOf(report))}</p>
</header>
<main>
<section class="verdict ${kind}" aria-label="Result"><span class="mark" aria-hidden="true">${mark}</span><div><p class="headline">${xml(headline(report))}</p></div></section>
${section('refused', 'Refused', report.refusals.map(refusal).join('\n'))}
${section('waived', 'Waived', list(report.waived.map(({ address, impact, waiver }) => `${address}: ${impactTexts[impact].title}, accepted by ${waiver.by} until ${waiver.expires}: ${waiver.reason}`)))}
${section('ignored', ignoredEdits, list(warningLines(report)))}
${section('order', 'In the order of the apply', drawChain(report.chain))}
${impacts.map((impact) => effects(report, impact)).join('\n')}
${section('migrations', 'Pending migrations', migrations(report))}
${section('others', 'Not judged', list(othersLine(report)))}
${section('drift', 'Changed outside Terraform', list(driftLines(report, 200)))}
${section('checks', 'Decided during the apply', list(report.openChecks))}
</main>
<footer><p>Times are ranges of Azure's documentation. The order is one in which Terraform can run the operations.</p></footer>
</body>
</html>
`;
}

function section(id: string, title: string, body: string): string {
  return body === ''
    ? ''
    : `<section id="${id}" aria-labelledby="${id}-title">\n<h2 id="${id}-title">${xml(title)}</h2>\n${body}\n</section>`;
}

function list(items: readonly string[]): string {
  return items.length === 0 ? '' : `<ul>\n${items.map((item) => `<li>${xml(item)}</li>`).join('\n')}\n</ul>`;
}

function refusal({ rule, address, impact, says, fingerprint, almost }: Refusal): string {
  const near = almost === undefined ? '' : `<p>${xml(almost)}</p>`;
  return `<article class="${rule.severity}">
<h3><span class="badge">${rule.id}</span> ${xml(rule.title)}</h3>
<p><code>${xml(address)}</code></p>
<ul>${says.map((one) => `<li>${xml(one)}</li>`).join('')}</ul>
${near}<dl><dt>Why</dt><dd>${xml(rule.why)}</dd><dt>Remedy</dt><dd>${xml(rule.remedy)}</dd><dt>Waiver</dt><dd>impact <code>${impact}</code>, fingerprint <code>${fingerprint}</code></dd></dl>
</article>`;
}

function effects({ verdicts }: GuardReport, impact: Impact): string {
  const found = verdicts.filter((one) => one.impact === impact);
  if (found.length === 0) return '';
  const { title, means } = impactTexts[impact];
  const items = `<ul>\n${found.map(effect).join('\n')}\n</ul>`;
  const body =
    impact === 'nothing'
      ? `<details><summary>${counted(found.length, 'change')}</summary>${items}</details>`
      : items;
  return section(
    impact,
    title.charAt(0).toUpperCase() + title.slice(1),
    `<p class="soft">${xml(means)}</p>\n${body}`,
  );
}

function effect(verdict: Verdict): string {
  const { address, attribute, values, says, when, controls, source } = verdict;
  return `<li><code>${xml(address)}${attribute === undefined ? '' : ` ${xml(attribute)}`}</code>${values === undefined ? '' : ` <code>${xml(values)}</code>`}<br>${xml(`${says}${costOf(verdict)}${rangeText(verdict)}`)}${when === undefined ? '' : `<br>Only if ${xml(when)}.`}${controls === undefined ? '' : `<br>Fails afterwards: ${xml(controlsText(controls))}.`}${source === undefined ? '' : `<br><span class="soft">${xml(sourceText(source))}</span>`}</li>`;
}

function migrations({ migrations: pending }: GuardReport): string {
  if (!pending || pending.files.length === 0) return '';
  const items = pending.files.map(({ file, locks, findings, allowed }) => {
    const lines = [
      ...locks.map(({ on, mode, blocks }) => `${mode} on ${on}: blocks ${blocks}`),
      ...findings.map(({ rule, severity, line, detail }) => `${severity}: ${rule}, line ${line}: ${detail}`),
      ...allowed.map(({ rule, reason }) => `allowed: ${rule}: ${reason}`),
    ];
    return `<li><code>${xml(file)}</code>${list(lines)}</li>`;
  });
  const schema = pending.schema ?? [];
  return `<ul>\n${items.join('\n')}\n</ul>${schema.length === 0 ? '' : `<details><summary>Changes of the schema: ${schema.length}</summary>${list(schema)}</details>`}`;
}
