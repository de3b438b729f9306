/** A timeline as one self-contained page: no script, no font, no network. */

import { azurermVersion } from '../../azure/provider.ts';
import { nameOf } from '../../azure/resource-id.ts';
import { sources } from '../../core/sources.ts';
import { duration } from '../../core/text.ts';
import type { Timeline } from './model.ts';
import { escaped, pictures } from './picture.ts';

export function page(timeline: Timeline): string {
  const { title, environment, figures, checks, startedAt } = timeline;
  const made = sources();
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rehearsal of ${escaped(environment)}: ${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<header>
<p class="kicker">Rehearsal of ${escaped(environment)} on one machine · ${new Date(startedAt).toISOString().slice(0, 16).replace('T', ' ')} UTC</p>
<h1>${escaped(title)}</h1>
<p class="played">Azure is played by a local program, and its durations are not Azure's. Terraform, azurerm, PostgreSQL and the requests are real.
${escaped(`llama-db ${made.version}, commit ${made.commit}.`)}</p>
</header>
<section class="figures">
${figureTiles(timeline)}
</section>
<section>
<ul class="legend">
<li><span class="swatch run"></span>command, phase</li>
<li><span class="swatch step"></span>post-deploy step</li>
<li><span class="swatch operation"></span>operation of the local Azure</li>
<li><span class="swatch wait"></span>the provider waits</li>
<li><span class="swatch refused"></span>refused or failed</li>
</ul>
<div class="pictures">${pictures(timeline)}</div>
<p class="note">Point at a bar, or read the list below, for its details. Intervals with only hard-coded waits of the provider are folded.</p>
</section>
${checks.length > 0 ? `<section><h2>Checks that held</h2><ol class="checks">${checks.map(({ claim }) => `<li>${escaped(claim)}</li>`).join('')}</ol></section>` : ''}
${waitsTable(timeline)}
<section><details><summary>${figures.operations === 1 ? 'The operation' : `All ${figures.operations} operations`}</summary>${operationsTable(timeline)}</details></section>
</body>
</html>
`;
}

function figureTiles({ figures, startedAt, endedAt }: Timeline): string {
  const { firstDeployment, providerOnly, operations, refused, requests, memory } = figures;
  const tiles: (readonly [string, string, string])[] = [];
  if (firstDeployment !== undefined)
    tiles.push(
      ['deployment', duration(firstDeployment), 'the first one, the whole command'],
      [
        'without waits',
        duration(firstDeployment - providerOnly),
        `azurerm waited for ${duration(providerOnly)}`,
      ],
    );
  tiles.push(
    ['rehearsal', duration(endedAt - startedAt), 'everything in the picture'],
    ['operations', String(operations), refused === 0 ? 'none refused' : `${refused} refused`],
    ['requests', String(requests), 'answered by the local Azure'],
    ['memory', `${Math.round(memory / 1024 / 1024)} MB`, "of the local Azure's process"],
  );
  return tiles
    .map(
      ([name, value, note]) =>
        `<div class="tile"><span>${escaped(name)}</span><strong>${escaped(value)}</strong><small>${escaped(note)}</small></div>`,
    )
    .join('\n');
}

function waitsTable({ figures }: Timeline): string {
  if (figures.waits.length === 0) return '';
  const rows = figures.waits.map(
    ({ type, count, longest, rule }) =>
      `<tr><td><code>${escaped(type)}</code></td><td class="number">${count}</td><td class="number">${duration(longest)}</td><td>${escaped(rule)}</td></tr>`,
  );
  return `<section><h2>Hard-coded waits of azurerm ${azurermVersion}</h2>
<table><thead><tr><th>resource</th><th class="number">count</th><th class="number">longest</th><th>rule in the provider's source</th></tr></thead>
<tbody>${rows.join('')}</tbody></table></section>`;
}

function operationsTable({ operations, startedAt }: Timeline): string {
  const rows = operations.map((one) => {
    const { method, type, target, outcome, error } = one;
    const name = decodeURIComponent(nameOf(target));
    const result = error ? `${outcome}: ${error.code}` : outcome;
    return `<tr class="${outcome.toLowerCase()}"><td class="number">${((one.startedAt - startedAt) / 1000).toFixed(2)}</td><td class="number">${(((one.endedAt ?? one.startedAt) - one.startedAt) / 1000).toFixed(2)}</td><td>${escaped(result)}</td><td>${method}</td><td>${escaped(type.replace(/^Microsoft\./, ''))}</td><td>${escaped(name)}</td></tr>`;
  });
  return `<table><thead><tr><th class="number">start, s</th><th class="number">duration, s</th><th>outcome</th><th>method</th><th>type</th><th>name</th></tr></thead>
<tbody>${rows.join('')}</tbody></table>`;
}

export const style = `
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --ink: #1d2329; --soft: #5b6670; --line: #e1e4e6; --band: #f4f5f6;
  --run: #44505c; --phase: #8895a3; --step: #1f8a5f; --operation: #2f6fd6; --wait: #b9c0c8; --wait-ground: #eceff2;
  --bad: #c8372d; --abandoned: #b7791f; --on: #ffffff; --fold: #f0ece2; --fold-ink: #7a6a45;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14181c; --card: #1b2026; --ink: #e8ebee; --soft: #9aa5b0; --line: #2c343c; --band: #20262d;
    --run: #aeb9c4; --phase: #6c7986; --step: #3fae80; --operation: #5b93f0; --wait: #56626e; --wait-ground: #29313a;
    --bad: #ee6a5f; --abandoned: #d9a441; --on: #0f1316; --fold: #26241d; --fold-ink: #c2ad79;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1440px; padding: 28px 32px 48px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 24px; line-height: 1.25; margin: 2px 0 18px; font-weight: 650; max-width: 60em; }
h2 { font-size: 16px; margin: 0 0 8px; font-weight: 650; }
.kicker { margin: 0; color: var(--soft); font-size: 13px; }
section { margin: 0 0 26px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 10px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.tile span { display: block; color: var(--soft); font-size: 12.5px; }
.tile strong { display: block; font-size: 21px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile small { color: var(--soft); font-size: 12px; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 6px 20px; padding: 0; margin: 0 0 8px; font-size: 13px; color: var(--soft); }
.swatch { display: inline-block; width: 22px; height: 10px; border-radius: 2px; margin-right: 7px; }
.swatch.run { background: var(--run); } .swatch.step { background: var(--step); } .swatch.operation { background: var(--operation); }
.swatch.wait { background: repeating-linear-gradient(45deg, var(--wait) 0 1.5px, var(--wait-ground) 1.5px 5px); }
.swatch.refused { background: var(--bad); }
.pictures { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg text { fill: var(--ink); }
svg .group { font-size: 12.5px; font-weight: 650; }
svg .lane { fill: var(--soft); text-anchor: end; font-size: 11.5px; }
svg .time { fill: var(--soft); text-anchor: middle; font-variant-numeric: tabular-nums; }
svg .rule { stroke: var(--line); } svg .tick { stroke: var(--line); stroke-dasharray: 2 3; }
svg .band { fill: var(--band); }
svg .fold { fill: var(--fold); } svg .folded { fill: var(--fold-ink); text-anchor: middle; font-size: 10.5px; } svg .folded.strong { font-weight: 650; font-size: 11.5px; }
svg rect.run { fill: var(--run); } svg rect.phase { fill: var(--phase); } svg rect.step { fill: var(--step); stroke: var(--card); stroke-width: .6; }
svg rect.operation { fill: var(--operation); stroke: var(--card); stroke-width: .5; } svg.wide rect.wait { fill: url(#waiting-wide); } svg.medium rect.wait { fill: url(#waiting-medium); }
svg.narrow rect.wait { fill: url(#waiting-narrow); } svg.medium, svg.narrow { display: none; } svg.narrow .lane { text-anchor: start; }
svg rect.refused, svg rect.failed { fill: var(--bad); } svg rect.abandoned { fill: var(--abandoned); }
svg rect[class]:not(.band):not(.fold):hover { stroke: var(--ink); stroke-width: 1.5; }
svg .label { fill: var(--on); font-size: 10.5px; pointer-events: none; }
svg .hatch { stroke: var(--wait); stroke-width: 2.5; } svg .hatch-ground { fill: var(--wait-ground); }
.played { margin: -8px 0 18px; color: var(--soft); font-size: 14px; max-width: 70em; }
.note { color: var(--soft); font-size: 13px; margin: 8px 0 0; }
.checks { margin: 0; padding-left: 22px; columns: 2; column-gap: 40px; } .checks li { break-inside: avoid; padding: 1px 0; } .checks li::marker { color: var(--step); }
table { border-collapse: collapse; width: 100%; font-size: 13px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
th { text-align: left; color: var(--soft); font-weight: 550; } th, td { padding: 4px 12px; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.refused td, tr.failed td { color: var(--bad); } code { font-size: 12.5px; }
details summary { cursor: pointer; font-weight: 650; margin-bottom: 8px; }
@media (max-width: 1000px) { svg.wide { display: none; } svg.medium { display: block; } }
@media (max-width: 600px) { svg.medium { display: none; } svg.narrow { display: block; } }
@media (max-width: 700px) {
  body { padding: 18px 14px 32px; } h1 { font-size: 20px; } .checks { columns: 1; }
  .figures { grid-template-columns: 1fr 1fr; } .tile { padding: 8px 10px; } .tile strong { font-size: 18px; }
  table, tbody, tr, td { display: block; width: auto; } thead { display: none; }
  tr { padding: 6px 10px; border-bottom: 1px solid var(--line); } td, td.number { display: inline; padding: 0 8px 0 0; border: 0; white-space: normal; }
}
`;
