/** A preview as one self-contained page with the timeline of the change. */
import { counted, duration } from '../../core/text.ts';
import { style } from '../timeline/page.ts';
import { escaped, pictures } from '../timeline/picture.ts';
import type { Preview } from './result.ts';
import {
  afterwards,
  clientLines,
  fidelity,
  headline,
  lockWords,
  migrationWords,
  serverWords,
} from './words.ts';

export function renderHtml(preview: Preview): string {
  const { environment, base, change, refusal, resources, servers, clients, migrations, filled, rows } =
    preview;
  const empty = filled.filter(({ why }) => why !== undefined);
  const title = `Preview of ${environment}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<header>
<p class="kicker">${escaped(`${title}: from ${base.ref} (${base.commit}) to ${change}`)}</p>
<h1>${escaped(headline(preview))}</h1>
<p class="played">${escaped(`Azure is played by a local program. Terraform, azurerm and PostgreSQL are real. ${fidelity}`)}</p>
</header>
<section>
<ul class="legend">
<li><span class="swatch operation"></span>operation of the local Azure</li>
<li><span class="swatch step"></span>post-deploy step, lock</li>
<li><span class="swatch wait"></span>the provider waits</li>
<li><span class="swatch refused"></span>restart, interruption of a client</li>
</ul>
<div class="pictures">${pictures(preview.timeline)}</div>
<p class="note">Point at a bar for its details.</p>
</section>
${section('Refused', refusal ? [`in the phase ${refusal.phase}: ${refusal.reason}`] : [])}
${section(
  'Servers',
  servers.map((one) => `${one.name}: ${serverWords(one)}`),
)}
${clients.map((one) => section(`Client, ${one.name} (${one.host})`, clientLines(one))).join('\n')}
${migrations.map((one) => section(`Migration ${one.file}, ${counted(rows, 'row')} a table: ${migrationWords(one)}`, one.locks.length > 0 ? one.locks.map(lockWords) : ['no lock that blocks others was seen'])).join('\n')}
${section(
  'Tables that stayed empty',
  empty.map(({ table, why }) => `${table}: ${why}`),
)}
${section('Afterwards', afterwards(preview))}
${section(`Applied in ${duration(preview.milliseconds)}`, resources)}
</body>
</html>
`;
}

function section(title: string, items: readonly string[]): string {
  if (items.length === 0) return '';
  return `<section><h2>${escaped(title)}</h2><ul>${items.map((item) => `<li>${escaped(item)}</li>`).join('')}</ul></section>`;
}
