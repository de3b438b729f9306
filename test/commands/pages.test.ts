/** The pages of reports and rehearsals in a real browser. */
import { describe, expect, it } from 'vitest';
import { page } from '../../rehearsal/timeline/page.ts';
import { catalogue } from '../../verification/catalogue.ts';
import { renderHtml } from '../../verification/report/html.ts';
import { browser, contentWidths, widths } from '../support/browser.ts';

const long = `llama.${'a_very_long_name_'.repeat(8)}`;

const verification = renderHtml(
  {
    subject: { version: '17.10', login: long, auditHead: `12:${'0123456789abcdef'.repeat(4)}` },
    counts: { passed: 1, failed: 1, skipped: 1 },
    durationMs: 1,
    checks: catalogue.map(({ run: _, ...check }, place) => ({
      check,
      outcome:
        place % 3 === 0
          ? { status: 'failed', inspected: long, findings: [{ object: long, detail: `is ${long}` }] }
          : place % 3 === 1
            ? { status: 'skipped', reason: long }
            : { status: 'passed', inspected: long },
    })),
  },
  { subject: `${long}:5432, database ${long}`, environment: 'production' },
);

const at = Date.parse('2026-11-01T12:00:00Z');
const rehearsal = page({
  environment: 'production',
  title: `A title with ${long}`,
  startedAt: at,
  endedAt: at + 60_000,
  idle: [{ startedAt: at + 20_000, endedAt: at + 50_000 }],
  checks: [{ claim: `${long} holds`, at }],
  operations: [
    {
      id: 'one',
      method: 'PUT',
      target: `/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/${'server-'.repeat(9)}`,
      type: 'Microsoft.DBforPostgreSQL/flexibleServers/configurations',
      startedAt: at,
      endedAt: at + 1000,
      outcome: 'Refused',
      error: { code: 'ServerIsBusy', message: long },
    },
  ],
  bars: ['server', 'parameters'].map((lane) => ({
    group: 'llama-mapper-production',
    lane,
    kind: 'operation' as const,
    label: long,
    outcome: 'succeeded' as const,
    startedAt: at,
    endedAt: at + 10_000,
  })),
  figures: {
    firstDeployment: 60_000,
    providerOnly: 30_000,
    operations: 1,
    refused: 1,
    requests: 40,
    memory: 2 ** 27,
    waits: [{ type: 'azurerm_resource_group', rule: 'three looks', count: 1, longest: 19_900 }],
  },
});

describe.each([
  ['verification', verification],
  ['a rehearsal', rehearsal],
])('the page of %s', (_what, html) => {
  it(`does not scroll sideways at ${widths.join(', ')} pixels`, (context) => {
    context.skip(browser === undefined, 'needs Chromium on the PATH');
    const wider = contentWidths(html).map((width, place) => Math.max(width - (widths[place] ?? 0), 0));
    expect(wider).toEqual(widths.map(() => 0));
  });

  it('says which sources made it', () => {
    expect(html).toMatch(/commit (?:<code>)?[0-9a-f]{7,}/);
  });
});
