/** The chain of operations as a picture: from top to bottom in the order of the apply, restarts and windows marked. */
import { xml } from '../../../verification/report/junit.ts';
import type { Operation } from '../chain.ts';
import { type Impact, impactTexts } from '../impacts.ts';
import { shortened, spanOf } from './words.ts';

/** As wide as a phone, so that its text is readable there. */
const width = 420;
const height = 44;
/** Operations that are drawn one by one. */
const most = 80;

/** Impacts that interrupt clients. */
const windows: readonly Impact[] = ['long-outage', 'failover', 'restart', 'read-only'];

interface Line {
  readonly operation?: Operation;
  /** Operations without an effect that follow each other. */
  readonly quiet: number;
}

export function drawChain(chain: readonly Operation[]): string {
  const lines = linesOf(chain);
  if (lines.length === 0) return '';
  const total = lines.length * height + 16;
  const marks = lines.map((line, place) => draw(line, 8 + place * height)).join('\n');
  return `<svg class="chain" viewBox="0 0 ${width} ${total}" role="img" aria-label="${lines.length} steps of the apply in their order">
<line class="spine" x1="20" y1="14" x2="20" y2="${total - 24}"/>
${marks}
</svg>`;
}

function linesOf(chain: readonly Operation[]): Line[] {
  const lines: Line[] = [];
  for (const operation of chain) {
    const last = lines.at(-1);
    if ((operation.impact !== 'nothing' || operation.isStep) && lines.length < most)
      lines.push({ operation, quiet: 0 });
    else if (last && last.operation === undefined) lines[lines.length - 1] = { quiet: last.quiet + 1 };
    else lines.push({ quiet: 1 });
  }
  return lines;
}

function draw({ operation, quiet }: Line, top: number): string {
  const middle = top + 12;
  if (!operation)
    return `<circle class="quiet" cx="20" cy="${middle}" r="4"/><text class="soft" x="40" y="${middle + 5}">${quiet} ${quiet === 1 ? 'operation' : 'operations'} that the database does not notice</text>`;
  const { address, action, impact, seconds, says = '', isStep } = operation;
  const words = isStep
    ? 'run the post-deploy step'
    : `${action === 'replace' ? 'destroy and create' : action} ${address}`;
  const window = windows.includes(impact);
  const mark = window
    ? `<rect class="${impact}" x="11" y="${middle - 9}" width="18" height="18" rx="3"/>`
    : `<circle class="${impact}" cx="20" cy="${middle}" r="8"/>`;
  const time = seconds === undefined ? '' : `, ${spanOf(seconds)}`;
  const title = `${impactTexts[impact].title}${time}`;
  return `<g><title>${xml(`${words}: ${says}`)}</title>${mark}<text x="40" y="${middle + 1}">${xml(shortened(words.replace('azurerm_postgresql_flexible_', ''), 56))}</text><text class="soft" x="40" y="${middle + 18}">${xml(shortened(title, 60))}</text></g>`;
}

export const pictureStyle = `
svg.chain{width:100%;max-width:30rem;height:auto;margin:.5rem 0}svg.chain text{font:12px system-ui,sans-serif;fill:var(--ink)}svg.chain text.soft{fill:var(--soft);font-size:11px}
.spine{stroke:var(--line);stroke-width:3}.chain circle,.chain rect{fill:var(--bar-skip);stroke:var(--ground);stroke-width:2}
.chain .data-loss,.chain .refused-by-azure,.chain .long-outage{fill:var(--bad)}.chain .security-weakened,.chain .recovery-weakened,.chain .unknown,.chain .restart,.chain .failover,.chain .read-only{fill:var(--warn)}.chain .online,.chain .cost{fill:var(--good)}`;
