/** The reports of a preview: what is counted, and how a terminal, a comment and a page show it. */
import { describe, expect, it } from 'vitest';
import { renderHtml } from '../../rehearsal/preview/html.ts';
import { renderMarkdown } from '../../rehearsal/preview/markdown.ts';
import { type Parts, resultOf, type Seen } from '../../rehearsal/preview/result.ts';
import { renderText } from '../../rehearsal/preview/text.ts';
import { previewOf } from '../support/preview.ts';

const ended = {
  startedAt: 1000,
  endedAt: 9000,
  milliseconds: 8000,
  lines: [],
  output: '',
  stdout: '',
  stderr: '',
};
const run: Seen['run'] = {
  ...ended,
  ...{ command: 'plan, apply', exitCode: 0, diagnostics: [], resources: [], phases: [] },
  steps: [
    { at: 4000, text: 'Applied 0018_one (1.0 s)' },
    { at: 7000, text: 'Applied 0019_two (85 ms)' },
  ],
};
const lock = { on: 'llama.t', isInPartitions: false, mode: 'ACCESS EXCLUSIVE' };
const moment = { server: 'one', failover: false, startedAt: 2000, endedAt: 2500 };
const seen: Seen = {
  ...{ startedAt: 1000, endedAt: 9500, run },
  clients: [
    {
      ...{ name: 'writer', host: 'one', statements: 10, refused: {}, connecting: {} },
      outages: [],
      waits: [
        { startedAt: 3200, endedAt: 3800, statement: 'write llama.t' },
        { startedAt: 8000, endedAt: 8400, statement: 'write llama.t' },
      ],
    },
  ],
  locks: [
    { ...lock, startedAt: 3100, endedAt: 3900, waiting: 1 },
    { ...lock, startedAt: 8100, endedAt: 8200, waiting: 0 },
  ],
  happened: [
    { ...moment, kind: 'parameterSet' },
    { ...moment, kind: 'scaled' },
    { ...moment, kind: 'restarted' },
    { ...moment, kind: 'restarted', failover: true },
    { ...moment, kind: 'promoted', server: 'two' },
    { ...moment, kind: 'parameterSet', server: 'three' },
  ],
};
const { timeline } = previewOf();
const parts: Parts = {
  ...{ environment: 'production', quick: true, rows: 10, change: 'b', seen, filled: [], timeline },
  base: { ref: 'main', commit: 'a', hasOtherPackages: false },
  baseline: { failed: new Map([['AZU-030', 'x']]), skipped: new Map() },
  second: { ...run, isEmpty: true, changes: [] },
  verification: { failed: new Map([['AZU-030', 'x']]), skipped: new Map() },
  pending: ['0018_one.sql', '0019_two.ts', '0020_three.sql'],
};

describe('the result of a preview', () => {
  it('counts restarts and failovers by server, and leaves out what interrupts nobody', () => {
    expect(resultOf(parts).servers).toEqual([
      { name: 'one', restarts: 2, failovers: 1, others: [] },
      { name: 'two', restarts: 0, failovers: 0, others: ['promoted'] },
    ]);
  });

  it('gives each migration its own locks, and names those that were not applied', () => {
    expect(resultOf(parts).migrations).toEqual([
      {
        ...{ file: '0018_one.sql', isApplied: true, milliseconds: 1000 },
        locks: [{ ...lock, milliseconds: 800, waiting: 1 }],
      },
      { file: '0019_two.ts', isApplied: true, milliseconds: 85, locks: [] },
      { file: '0020_three.sql', isApplied: false, locks: [] },
    ]);
  });

  it('counts a wait only while a lock made somebody wait: a busy machine is slow as well', () => {
    expect(resultOf(parts).clients[0]?.waits).toHaveLength(1);
  });

  it.each<readonly [string, 0 | 1, Partial<Parts>]>([
    ['nothing new is found', 0, {}],
    ['the second plan has changes', 1, { second: { ...run, isEmpty: false, changes: ['update a.b'] } }],
    ['only outputs would change', 1, { second: { ...run, isEmpty: false, changes: [] } }],
    [
      'verify has a new finding',
      1,
      { verification: { failed: new Map([['ISO-001', 'y']]), skipped: new Map() } },
    ],
    [
      'a finding has grown',
      1,
      { verification: { failed: new Map([['AZU-030', 'x; y']]), skipped: new Map() } },
    ],
    ['verify could check nothing', 1, { verification: 'no answer' }],
    [
      'the change failed',
      1,
      { seen: { ...seen, run: { ...run, exitCode: 1 } }, second: undefined, verification: undefined },
    ],
  ])('exits by its outcome: %s: %i', (_, status, more) => {
    expect(resultOf({ ...parts, ...more }).exitCode).toBe(status);
  });

  it('has the last line of the post-deploy step as its reason, not all that Terraform repeats', () => {
    const failed: Seen['run'] = {
      ...{ ...run, exitCode: 1, phases: [{ name: 'apply', startedAt: 1, endedAt: 2 }] },
      diagnostics: [{ severity: 'error', summary: 'long', address: 'terraform_data.post_deploy' }],
      steps: [
        { at: 1, text: 'Connected' },
        { at: 2, text: 'Migration 0018 failed' },
      ],
    };
    const result = resultOf({
      ...parts,
      seen: { ...seen, run: failed },
      second: undefined,
      verification: undefined,
    });
    expect(result.refusal).toEqual({
      phase: 'apply',
      changes: 0,
      reason: 'the post-deploy step: Migration 0018 failed',
    });
  });
});

const wide = previewOf({
  ...{ exitCode: 1, outcome: 'refused' },
  resources: [`update azurerm_postgresql_flexible_server_configuration.${'parameters_'.repeat(8)}`],
  refusal: {
    phase: 'plan',
    changes: 0,
    reason: `Instance cannot be destroyed <b> @all | ${'x'.repeat(120)}`,
  },
});

describe('a report of a preview', () => {
  it('has no line beyond 80 columns in a terminal', () => {
    for (const preview of [previewOf(), wide])
      expect(
        renderText(preview)
          .split('\n')
          .filter((line) => line.length > 80),
      ).toEqual([]);
  });

  it('says in each form what differs on Azure and what does not', () => {
    const forms = [renderText(previewOf()), renderMarkdown(previewOf()), renderHtml(previewOf())];
    for (const form of forms)
      expect(form.replace(/\s+/g, ' ')).toContain('Counts, order, locks and refusals do not.');
  });

  it('has the lock, the interruption and their counts', () => {
    for (const form of [renderText(previewOf()), renderMarkdown(previewOf()).replaceAll('\\', '')]) {
      const text = form.replace(/\s+/g, ' ');
      expect(text).toContain('interrupted once (1.3 s by 57P01 admin_shutdown)');
      expect(text).toContain('ACCESS EXCLUSIVE on llama.storage_records for 810 ms, 1 session waited');
    }
  });

  it('quotes the words of others without their markup', () => {
    expect(renderMarkdown(wide)).not.toMatch(/<b>|@all/);
    expect(renderHtml(wide)).not.toContain('<b>');
  });
});

describe('the picture in the comment', () => {
  const bar = { group: 'Clients', lane: 'writer', kind: 'operation', outcome: 'failed' } as const;
  const { timeline } = previewOf();
  const drawn = (label: string) =>
    renderMarkdown(
      previewOf({
        timeline: {
          ...timeline,
          startedAt: 1000,
          bars: [
            { ...bar, label, startedAt: 14_000, endedAt: 15_300 },
            {
              ...bar,
              group: 'Locks',
              kind: 'step',
              outcome: 'succeeded',
              label: 'SHARE',
              startedAt: 2000,
              endedAt: 2001,
            },
          ],
        },
      }),
    );

  it('has outages and locks, in milliseconds since the change began', () => {
    const comment = drawn('interrupted: 57P01 admin_shutdown');
    expect(comment).toContain('```mermaid\ngantt\n');
    expect(comment).toContain('    writer interrupted 57P01 admin_shutdown :crit, 13000, 14300\n');
    expect(comment).toContain('    writer SHARE :done, 1000, 1200\n');
  });

  it('cannot be ended by a name', () => {
    const comment = drawn('x\n```\n<img>;:#click');
    expect(comment.match(/```/g)).toHaveLength(2);
    expect(comment).not.toMatch(/<img/);
  });

  it('is absent if nothing happened, as are resources', () => {
    const comment = renderMarkdown(previewOf({ resources: [] }));
    expect(comment).not.toMatch(/mermaid|<details>/);
    expect(renderMarkdown(previewOf())).toContain('- `create terraform_data.post_deploy`');
  });
});
