/** The page and the comment fit a phone in a real browser. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { guard } from '../../../pipeline/plan/guard.ts';
import { renderHtml } from '../../../pipeline/plan/report/html.ts';
import { renderComment } from '../../../pipeline/plan/report/markdown.ts';
import { renderMarkdown } from '../../../rehearsal/preview/markdown.ts';
import { browser, contentWidths, widths } from '../../support/browser.ts';
import { commentPage } from '../../support/comment-page.ts';
import { previewOf } from '../../support/preview.ts';

/** With long words of each part of a preview. */
const previewed = renderMarkdown(
  previewOf({
    servers: [{ name: 'llama-mapper-production-'.repeat(2), restarts: 2, failovers: 1, others: [] }],
    secondPlan: [`update azurerm_postgresql_flexible_server_configuration.${'parameters_'.repeat(6)}`],
  }),
);

const reportOf = (name: string) =>
  guard(readFileSync(join(import.meta.dirname, 'recorded', `${name}.json`), 'utf8'), {
    environment: 'production',
    isProtected: true,
    waivers: [],
    now: new Date(0),
  });

it.for([
  ['the page of a restart', renderHtml(reportOf('restart'))],
  ['the comment of a restart', commentPage(renderComment(reportOf('restart')))],
  ['the comment of a refusal', commentPage(renderComment(reportOf('refused')))],
  ['a preview in a comment', commentPage(previewed)],
] as const)('nobody scrolls sideways on a phone: %s', { timeout: 90_000 }, ([, html], { skip }) => {
  skip(browser === undefined, 'needs chromium or google-chrome on the PATH');
  const measured = contentWidths(html);
  // A vertical scroll bar takes a part of a frame.
  expect(measured.filter((wide, place) => wide > (widths[place] ?? 0))).toEqual([]);
  expect(measured).toHaveLength(widths.length);
});
