/** A preview for a terminal, at most 80 columns. */
import { counted, duration, wrapped } from '../../core/text.ts';
import { shortened } from '../../pipeline/plan/report/words.ts';
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

const width = 80;

export function renderText(preview: Preview): string {
  const { base, refusal, resources, servers, clients, migrations, filled, rows, milliseconds } = preview;
  const empty = filled.filter(({ why }) => why !== undefined);
  const lines = [
    wrapped(headline(preview), width),
    ...section(
      'Note',
      base.hasOtherPackages
        ? [`${base.ref} has another package-lock.json, and ran with the packages of this checkout`]
        : [],
    ),
    ...(refusal ? section('Refused', [`in the phase ${refusal.phase}: ${refusal.reason}`]) : []),
    ...section(`Applied in ${duration(milliseconds)}`, resources),
    ...section(
      'Servers',
      servers.map((one) => `${one.name}: ${serverWords(one)}`),
    ),
    ...clients.flatMap((one) => section(`Client, ${one.name} (${one.host})`, clientLines(one))),
    ...migrations.flatMap((one) =>
      section(
        `Migration ${one.file}, ${counted(rows, 'row')} a table: ${migrationWords(one)}`,
        one.locks.length > 0 ? one.locks.map(lockWords) : ['no lock that blocks others was seen'],
      ),
    ),
    ...section(
      'Tables that stayed empty',
      empty.map(({ table, why }) => `${table}: ${why}`),
    ),
    ...section('Afterwards', afterwards(preview)),
    '',
    wrapped(fidelity, width),
  ];
  return `${lines.join('\n')}\n`;
}

function section(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  return ['', wrapped(`${title}:`, width, 2), ...items.map(indented)];
}

/** A word that is longer than the line is shortened in its middle. */
function indented(text: string): string {
  const words = text.split(/\s+/).map((word) => shortened(word, width - 4));
  return wrapped(words.join(' '), width - 2, 2)
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
