import { describe, expect, it } from 'vitest';
import type { CheckFacts, CheckResult, Outcome, Report } from '../../verification/check.ts';
import { explain } from '../../verification/report/explain.ts';
import { renderHtml } from '../../verification/report/html.ts';
import { reportDocument } from '../../verification/report/json.ts';
import { renderJunit } from '../../verification/report/junit.ts';
import { sarifDocument } from '../../verification/report/sarif.ts';
import { renderTable } from '../../verification/report/table.ts';
import { verdictOf } from '../../verification/verdict.ts';
import { parseSarif } from '../support/sarif.ts';

const facts: CheckFacts = {
  id: 'ISO-001',
  name: 'tables-closed',
  group: 'isolation',
  loses: 'isolation',
  severity: 'critical',
  title: 'Tables are closed',
  inspects: 'pg_class',
  why: 'Open tables are read.',
  remedy: 'Close them <now> & "here".',
  source: 'the manual',
};

function result(change: Partial<CheckFacts>, outcome: Outcome): CheckResult {
  return { check: { ...facts, ...change }, outcome };
}

const subject = { version: '17.10', login: 'reviewer', auditHead: '12:abc' };

const report: Report = {
  subject,
  durationMs: 123.4,
  counts: { passed: 1, failed: 2, skipped: 2 },
  checks: [
    result({}, { status: 'passed', inspected: '5 tables' }),
    result(
      {
        id: 'PAR-009',
        name: 'sizes-known',
        group: 'partitions',
        severity: 'medium',
        title: 'Sizes are known',
      },
      {
        status: 'failed',
        inspected: '4 tables',
        findings: [{ object: 'llama.t', detail: 'never analysed' }],
      },
    ),
    result(
      { id: 'ISO-002', name: 'owners-bound', severity: 'high', title: 'Owners are bound' },
      {
        status: 'failed',
        inspected: '5 tables',
        findings: [
          { object: 'llama.a', detail: 'is <open>' },
          { object: 'llama.b', detail: 'is open' },
        ],
      },
    ),
    result(
      {
        id: 'SCH-001',
        name: 'jobs-scheduled',
        group: 'schedules',
        severity: 'high',
        title: 'Jobs are scheduled',
      },
      { status: 'skipped', reason: 'there is no pg_cron' },
    ),
    result(
      { id: 'SCH-002', name: 'jobs-succeed', group: 'schedules', severity: 'high', title: 'Jobs succeed' },
      { status: 'skipped', reason: 'there is no pg_cron' },
    ),
  ],
};

const clean: Report = {
  subject,
  durationMs: 50,
  counts: { passed: 1, failed: 0, skipped: 0 },
  checks: report.checks.slice(0, 1),
};

describe('the table', () => {
  it('lists findings with their remedy, worst first, then sums, the verdict, and skipped checks by their reason', () => {
    expect(renderTable(report, { width: 76 })).toMatchInlineSnapshot(`
      "┌─────────┬──────────┬─────────────────────────────────────────────────────┐
      │ found   │ severity │ check, objects and remedy                           │
      ├─────────┼──────────┼─────────────────────────────────────────────────────┤
      │ ISO-002 │ high     │ Owners are bound [owners-bound]                     │
      │         │          │ - llama.a: is <open>                                │
      │         │          │ - llama.b: is open                                  │
      │         │          │ Remedy: Close them <now> & "here".                  │
      ├─────────┼──────────┼─────────────────────────────────────────────────────┤
      │ PAR-009 │ medium   │ Sizes are known [sizes-known]                       │
      │         │          │ - llama.t: never analysed                           │
      │         │          │ Remedy: Close them <now> & "here".                  │
      └─────────┴──────────┴─────────────────────────────────────────────────────┘
      isolation    1 passed, 1 failed
      partitions   0 passed, 1 failed
      schedules    0 passed, 2 skipped
      2 found: 1 passed, 2 failed, 2 skipped of 5 checks (123 ms)
      skipped      there is no pg_cron: SCH-001, SCH-002
      "
    `);
  });

  it('is short without findings, and describes passed checks on request', () => {
    expect(renderTable(clean)).toMatchInlineSnapshot(`
      "isolation    1 passed
      nothing found: 1 passed, 0 failed, 0 skipped of 1 check (50 ms)
      "
    `);
    expect(renderTable(clean, { all: true })).toContain('5 tables');
  });

  it('renders thousands of findings within a second', () => {
    const findings = Array.from({ length: 600 }, (_, n) => ({
      object: `llama.storage_records_y2026m${n}`,
      detail: 'differs from its table in a way that takes more than one line at this width of a terminal',
    }));
    const checks = report.checks.map(({ check }) => ({
      check,
      outcome: { status: 'failed', inspected: 'leaves', findings } as const,
    }));
    const start = performance.now();
    renderTable({ ...report, checks });
    // One cell for all findings of a check takes seconds.
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('shortens a long list of findings', () => {
    const findings = Array.from({ length: 14 }, (_, n) => ({ object: `llama.t${n}`, detail: 'is open' }));
    const many = { ...report, checks: [result({}, { status: 'failed', inspected: '', findings })] };
    const text = renderTable(many);
    expect(text).toContain('llama.t9: is open');
    expect(text).not.toContain('llama.t10');
    expect(text).toContain('and 4 more (--json has all)');
  });

  it('groups skipped checks by reason, and describes them on request', () => {
    const skipped = (id: CheckFacts['id'], reason: string) => result({ id }, { status: 'skipped', reason });
    const checks = [skipped('AZU-001', 'far'), skipped('AZU-002', 'far'), skipped('DRI-001', 'busy')];
    const many = { ...report, checks, counts: { passed: 0, failed: 0, skipped: 3 } };
    const short = renderTable(many, { width: 30 });
    expect(short).toContain('\nskipped      far: AZU-001,\n             AZU-002\n');
    expect(short).toContain('\nskipped      busy: DRI-001\n');
    const lines = renderTable(many, { all: true }).split('\n');
    expect(lines.slice(2, 9).map((line) => line.slice(0, 24).trim())).toEqual([
      '├─────────┼─────────────',
      '│ AZU-001 │ Tables are c',
      '│ AZU-002 │ Tables are c',
      '│         │ Reason: far',
      '├─────────┼─────────────',
      '│ DRI-001 │ Tables are c',
      '│         │ Reason: busy',
    ]);
  });

  it('has colours only for a terminal', () => {
    const start = String.fromCharCode(27);
    expect(renderTable(report)).not.toContain(start);
    expect(renderTable(report, { colour: true })).toContain(start);
  });
});

describe('the other formats', () => {
  it('JSON has every check with its outcome, and the verdict', () => {
    const document = reportDocument(report, verdictOf(report));
    expect(document).toMatchObject({ ok: false, format: 2, counts: report.counts, durationMs: 123 });
    expect(document.reasons).toEqual(['ISO-002 (high): Owners are bound']);
    const observed = { environment: 'production', at: new Date('2026-11-27T20:00:00Z') };
    expect(reportDocument(report, verdictOf(report), observed)).toMatchObject({
      environment: 'production',
      at: '2026-11-27T20:00:00.000Z',
    });
    expect(document.checks[1]).toEqual({
      ...facts,
      id: 'PAR-009',
      name: 'sizes-known',
      group: 'partitions',
      severity: 'medium',
      title: 'Sizes are known',
      status: 'failed',
      inspected: '4 tables',
      findings: [{ object: 'llama.t', detail: 'never analysed' }],
    });
    expect(reportDocument(clean, verdictOf(clean)).ok).toBe(true);
  });

  it('JUnit has one case per check, and escapes markup', () => {
    const xml = renderJunit(report);
    expect(xml).toContain(
      '<testsuites name="llama-db verify" tests="5" failures="2" skipped="2" time="0.123">',
    );
    expect(xml).toContain('<testsuite name="isolation" tests="2" failures="1" skipped="0">');
    expect(xml).toContain(
      '<testcase classname="isolation" name="ISO-001 tables-closed: Tables are closed"/>',
    );
    expect(xml).toContain('<skipped message="there is no pg_cron"/>');
    expect(xml).toContain('message="high: llama.a: is &lt;open&gt; and 1 more"');
    expect(xml).toContain('Remedy: Close them &lt;now&gt; &amp; &quot;here&quot;.');
    expect(xml.match(/<testcase/g)).toHaveLength(5);
  });

  it('SARIF has one rule per check, one result per finding, and a notification per skipped check', () => {
    const [run] = sarifDocument(report).runs;
    expect(run?.tool.driver.rules.map(({ id, name }) => [id, name])).toEqual([
      ['ISO-001', 'tables-closed'],
      ['PAR-009', 'sizes-known'],
      ['ISO-002', 'owners-bound'],
      ['SCH-001', 'jobs-scheduled'],
      ['SCH-002', 'jobs-succeed'],
    ]);
    expect(run?.results.map(({ ruleId, level }) => [ruleId, level])).toEqual([
      ['PAR-009', 'warning'],
      ['ISO-002', 'error'],
      ['ISO-002', 'error'],
    ]);
    for (const { ruleId, ruleIndex } of run?.results ?? []) {
      expect(run?.tool.driver.rules[ruleIndex]?.id).toBe(ruleId);
    }
    expect(run?.invocations[0]?.toolConfigurationNotifications).toHaveLength(2);
  });

  it('SARIF conforms to the schema of version 2.1.0, whose violations this test detects', () => {
    const document = sarifDocument(report);
    expect(() => parseSarif(JSON.stringify(document))).not.toThrow();
    expect(() => parseSarif(JSON.stringify(sarifDocument(clean)))).not.toThrow();
    const [run] = document.runs;
    const wrong: [object, string][] = [
      [{ version: '2.0.0' }, 'version'],
      [{ runs: [{ ...run, invocations: [{ toolConfigurationNotifications: [] }] }] }, 'executionSuccessful'],
      [{ runs: [{ ...run, results: [{ ...run?.results[0], level: 'high' }] }] }, 'level'],
      [{ runs: [{ ...run, results: [{ ...run?.results[0], ruleIndex: 0 }] }] }, 'rule 0 is not PAR-009'],
      [{ runs: [{ ...run, summary: {} }] }, 'summary'],
    ];
    for (const [change, named] of wrong) {
      expect(() => parseSarif(JSON.stringify({ ...document, ...change })), named).toThrow(named);
    }
  });

  it('the page is self-contained and escapes markup', () => {
    const html = renderHtml(report, {
      subject: 'host <eu>',
      environment: 'production',
      at: new Date('2026-11-23T00:00:00Z'),
    });
    expect(html).toContain('<title>Verification of production: host &lt;eu&gt;</title>');
    expect(html).toContain("content=\"default-src 'none'; style-src 'unsafe-inline'\"");
    expect(html).not.toMatch(/<script|<link|<img|https?:|url\(|@import/);
    expect(html).not.toContain('is <open>');
    expect(html).toContain('23 November 2026, 00:00 UTC');
  });

  it('the page has the verdict first, then findings with their remedy, worst first', () => {
    const html = renderHtml(report, { subject: 'x' });
    expect(html).toContain('1 serious problem must be fixed.');
    expect(html).toContain('1 high, 1 medium: 3 findings in 2 checks of 3.');
    expect(html).toContain('2 checks skipped, with the reason below.');
    const order = [
      'must be fixed.',
      'Owners are bound',
      'Close them &lt;now&gt;',
      'Sizes are known',
      'There is no pg_cron',
      'Tables are closed',
    ];
    const places = order.map((text) => html.indexOf(text));
    expect(places.every((place) => place > 0)).toBe(true);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  it('the page has a verdict for each of the other results', () => {
    expect(renderHtml(clean, { subject: 'x' })).toContain('Every check passed.');
    const [skipped] = report.checks.slice(-1);
    const seen = { passed: 1, failed: 0, skipped: 1 };
    const partly = { ...clean, counts: seen, checks: [...clean.checks, ...(skipped ? [skipped] : [])] };
    expect(renderHtml(partly, { subject: 'x' })).toContain('No problem was found.');
    const required = verdictOf(partly, { require: ['schedules'] });
    expect(renderHtml(partly, { subject: 'x', verdict: required })).toContain(
      'The result is incomplete: required checks were skipped.',
    );
    const mild = { ...report, checks: report.checks.filter(({ check }) => check.id !== 'ISO-002') };
    expect(renderHtml(mild, { subject: 'x' })).toContain(
      'No serious problem was found, but some should be fixed.',
    );
  });
});

describe('the verdict', () => {
  it('is 1 for findings of the severity or worse, which it lists', () => {
    expect(verdictOf(report)).toEqual({ exitCode: 1, reasons: ['ISO-002 (high): Owners are bound'] });
    expect(verdictOf(report, { failOn: 'critical' }).exitCode).toBe(0);
    expect(verdictOf(report, { failOn: 'medium' }).reasons).toHaveLength(2);
  });

  it('is 2 if a required group was skipped or did not run, unless there are findings', () => {
    expect(verdictOf(report, { failOn: 'critical', require: ['schedules'] })).toEqual({
      exitCode: 2,
      reasons: [
        'SCH-001 of required group schedules was skipped: there is no pg_cron',
        'SCH-002 of required group schedules was skipped: there is no pg_cron',
      ],
    });
    expect(verdictOf(clean, { require: ['audit'] })).toEqual({
      exitCode: 2,
      reasons: ['group audit is required but did not run'],
    });
    expect(verdictOf(report, { require: ['schedules'] }).exitCode).toBe(1);
    expect(verdictOf(clean, { require: ['isolation'] }).exitCode).toBe(0);
  });
});

it('explain prints every text of a check', () => {
  expect(explain(facts)).toMatchInlineSnapshot(`
    "ISO-001  Tables are closed

    Name       tables-closed
    Group      isolation
    Severity   critical: rows are open to a tenant or a role that must not read or change them
    Inspects   pg_class
    Why        Open tables are read.
    Remedy     Close them <now> & "here".
    Source     the manual
    "
  `);
});
