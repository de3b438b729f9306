/** Verdicts: what a tool saw, what it did not, and what an environment accepts. */
import { describe, expect, it } from 'vitest';
import { assess } from '../../../pipeline/evidence/assess.ts';
import { readObservation } from '../../../pipeline/evidence/observations.ts';
import { controlsOf } from '../../../pipeline/evidence/report.ts';
import { valueAt } from '../../../pipeline/evidence/stack.ts';
import { expression } from '../../stacks/stack.ts';
import { environments } from '../../support/environments.ts';
import {
  assessed,
  audit,
  guard,
  head,
  inputOf,
  observedAt,
  packed,
  releases,
  verification,
} from './fixture.ts';

const network = (changes = {}) => assessed('production', 'NET-1', changes);

describe('a control', () => {
  it('holds if the stack, the rules and the live checks hold, each with its place and time', () => {
    const { verdict, rows } = network();
    expect(verdict).toBe('holds');
    expect(rows.map(({ kind, place, value, observedAt }) => [kind, place, value, observedAt])).toEqual([
      [
        'stack',
        '/resource/azurerm_postgresql_flexible_server/replica/public_network_access_enabled',
        false,
        '2026-11-27T12:00:00Z',
      ],
      [
        'stack',
        '/resource/azurerm_postgresql_flexible_server/server/public_network_access_enabled',
        false,
        '2026-11-27T12:00:00Z',
      ],
      [
        'rule',
        'network/protected-is-private',
        'no problem in environments/production.ts',
        '2026-11-27T12:00:00Z',
      ],
      ['check', 'AZU-020', 'all of network-access', observedAt],
    ]);
  });

  it.each(environments.names)('points to the value of the stack in %s', (environment) => {
    const input = inputOf(environment);
    const rows = controlsOf(assess(input)).flatMap((one) => one.rows.filter(({ kind }) => kind === 'stack'));
    expect(rows.length).toBeGreaterThan(40);
    for (const { place, within, value, remark } of rows) {
      const found = valueAt(input.stack.document, place);
      expect(found, place).toBeDefined();
      // An object is shown by its keys.
      if (remark === undefined && within === undefined && typeof found !== 'object') {
        expect(found, place).toEqual(value);
      }
    }
  });

  it('is violated if one value of the stack is', () => {
    const { verdict, rows } = network({
      stack: (text: string) =>
        text.replace(
          /("name": "llama-mapper-production",\s+"public_network_access_enabled": )false/,
          '$1true',
        ),
    });
    expect(verdict).toBe('violated');
    expect(rows.filter((row) => row.verdict === 'violated').map(({ value }) => value)).toEqual([true]);
  });

  it.each([
    [
      'a missing parameter',
      'CRY-1',
      (text: string) => text.replaceAll('"require_secure_transport"', '"other"'),
    ],
    ['a weaker parameter', 'CRY-2', (text: string) => text.replaceAll('"TLSv1.3"', '"TLSv1.1"')],
    [
      'password login',
      'ACC-1',
      (text: string) => text.replace('"password_auth_enabled": false', '"password_auth_enabled": true'),
    ],
    [
      'a person as administrator',
      'ACC-2',
      (text: string) => text.replace('"principal_type": "Group"', '"principal_type": "User"'),
    ],
    [
      'a short retention',
      'REC-1',
      (text: string) => text.replace('"backup_retention_days": 35', '"backup_retention_days": 7'),
    ],
    [
      'a removed lock',
      'REC-5',
      (text: string) =>
        text.replace(
          `"scope": "${expression('azurerm_postgresql_flexible_server.server.id')}"`,
          '"scope": "elsewhere"',
        ),
    ],
    [
      'a removed endpoint',
      'NET-2',
      (text: string) =>
        text.replace(
          `"private_connection_resource_id": "${expression('azurerm_postgresql_flexible_server.replica.id')}"`,
          '"private_connection_resource_id": "elsewhere"',
        ),
    ],
    [
      'an open vault',
      'NET-5',
      (text: string) => text.replace('"default_action": "Deny"', '"default_action": "Allow"'),
    ],
    [
      'a key that is not rotated',
      'CRY-5',
      (text: string) => text.replace('\\"type\\":\\"rotate\\"', '\\"type\\":\\"notify\\"'),
    ],
    ['a disabled alert', 'LOG-9', (text: string) => text.replaceAll('"enabled": true', '"enabled": false')],
    ['fewer logs', 'LOG-6', (text: string) => text.replace('"allLogs"', '"audit"')],
    [
      'a logged value',
      'LOG-5',
      (text: string) => text.replace(/("name": "log_parameter_max_length",[\s\S]*?"value": )"0"/, '$1"-1"'),
    ],
    [
      'a range of versions',
      'CHG-4',
      (text: string) => text.replace('"version": "4.55.0"', '"version": "~> 4.55"'),
    ],
  ])('is violated by %s', (_, id, stack) => {
    expect(assessed('production', id).verdict).not.toBe('violated');
    expect(assessed('production', id, { stack }).verdict).toBe('violated');
  });

  it('does not hold without the live checks that it needs', () => {
    const without = network({ given: [] });
    expect(without.verdict).toBe('not collected');
    expect(without.rows.at(-1)).toMatchObject({ place: 'AZU-020', value: null, observedAt: null });
    const skipped = network({
      outcomes: { 'AZU-020': { status: 'skipped', reason: 'nobody is signed in' } },
    });
    expect(skipped.verdict).toBe('not collected');
    expect(skipped.rows.at(-1)?.remark).toBe('skipped: nobody is signed in');
  });

  it('does not hold by a verification that compared with other sources', () => {
    const of = (commit: string) => {
      const { text, ...rest } = verification('production');
      return { given: [{ ...rest, text: JSON.stringify({ ...JSON.parse(text), sources: { commit } }) }] };
    };
    expect(network(of('deadbee')).rows.at(-1)).toMatchObject({
      verdict: 'not collected',
      remark: 'the verification compared with the sources of commit deadbee',
    });
    for (const commit of ['c0ffee0', 'c0ffee0+', 'unknown'])
      expect(network(of(commit)).verdict).toBe('holds');
  });

  it('is violated by a live check that failed', () => {
    const findings = [{ object: 'server a', detail: 'admits 0.0.0.0' }];
    const { verdict, rows } = network({
      outcomes: { 'AZU-020': { status: 'failed', inspected: '', findings } },
    });
    expect(verdict).toBe('violated');
    expect(rows.at(-1)).toMatchObject({ value: 'server a admits 0.0.0.0', observedAt });
  });

  it('never holds if it needs something that no tool sees', () => {
    const parts = controlsOf(assess(inputOf('production'))).filter(({ rows }) =>
      rows.some(({ kind }) => kind === 'person'),
    );
    expect(parts.length).toBeGreaterThan(10);
    expect(parts.filter(({ verdict }) => ['holds', 'not applicable'].includes(verdict))).toEqual([]);
  });

  it('does not apply without its resource', () => {
    const { rows } = assessed('development', 'REC-6');
    expect(rows.filter(({ kind }) => kind === 'stack').map(({ verdict }) => verdict)).toEqual([
      'not applicable',
      'not applicable',
    ]);
  });
});

describe('a waiver', () => {
  const waiver = {
    ...{ control: 'CRY-3', reason: 'accepted here', owner: 'security', expires: '2026-11-27' },
    confirmed: { by: 'the head of security', on: '2026-11-01', where: 'ticket 7' },
  };
  const given = [verification('production')];

  it('shows a violated value as waived until its last day', () => {
    const { rows } = assessed('production', 'CRY-3', { overrides: { waivers: [waiver] } });
    expect(rows[0]).toMatchObject({ verdict: 'waived', waiver });
  });

  it('is only a proposal until a person has confirmed it', () => {
    const proposed = { ...waiver, confirmed: null };
    const { verdict, rows } = assessed('production', 'CRY-3', { overrides: { waivers: [proposed] } });
    expect(verdict).toBe('violated');
    expect(rows[0]).toMatchObject({
      remark: 'not set; nobody has confirmed the proposed waiver',
      waiver: proposed,
    });
    const { files } = packed('production', { overrides: { waivers: [proposed] } });
    for (const path of ['index.html', 'evidence.md', 'controls.csv'])
      expect(files.get(path)).toContain('proposed for security until 2026-11-27');
    expect(files.get('controls.sarif')).not.toContain('suppressions');
  });

  it('does not count from the day after', () => {
    const expired = { ...waiver, expires: '2026-11-26' };
    const { verdict, rows } = assessed('production', 'CRY-3', { overrides: { waivers: [expired] } });
    expect(verdict).toBe('violated');
    expect(rows[0]).toMatchObject({ remark: 'not set; the waiver expired on 2026-11-26', waiver: expired });
  });

  it('does not cover a live check that failed', () => {
    const findings = [{ object: 'a', detail: 'b' }];
    const accepted = { ...waiver, control: 'NET-1' };
    const { verdict } = assessed('production', 'NET-1', {
      outcomes: { 'AZU-020': { status: 'failed', findings } },
      overrides: { waivers: [accepted] },
    });
    expect(verdict).toBe('violated');
  });

  it('is listed as unused if it covers nothing', () => {
    const unused = { ...waiver, control: 'NET-1' };
    expect(assess(inputOf('production', { given, overrides: { waivers: [unused] } })).unusedWaivers).toEqual([
      unused,
    ]);
  });
});

describe('records', () => {
  const rowOf = (id: string, kind: string, given: Parameters<typeof inputOf>[1]) =>
    assessed('production', id, given).rows.find(({ place }) => place === kind);

  it('are not collected if none was given', () => {
    for (const [id, kind] of [
      ['CHG-1', 'release'],
      ['CHG-3', 'guard'],
      ['TRL-2', 'audit head'],
    ] as const) {
      expect(rowOf(id, kind, {})).toMatchObject({ verdict: 'not collected', value: null });
    }
  });

  it('of releases hold if the newest is verified and of the migrations of the stack', () => {
    expect(rowOf('CHG-1', 'release', { given: [releases('production')] })).toMatchObject({
      verdict: 'holds',
      value: 'verified, at 2026-11-27T19:00:00Z, by release-pipeline',
    });
    for (const more of [{ outcome: 'findings' }, { migrationsDigest: 'b'.repeat(64) }]) {
      expect(rowOf('CHG-1', 'release', { given: [releases('production', more)] })).toMatchObject({
        verdict: 'violated',
      });
    }
    const none = { kind: 'releases', origin: 'r', text: '{"releases":[]}' } as const;
    expect(rowOf('CHG-1', 'release', { given: [none] })).toMatchObject({ verdict: 'not collected' });
  });

  it('of releases form a chain: the number of the audit head never falls', () => {
    const chain = (auditHead: string) =>
      rowOf('TRL-2', 'release chain', {
        given: [releases('production', { auditHead }), audit('production')],
      });
    const [number, hash] = head.split(':');
    expect(chain(head)).toMatchObject({ verdict: 'holds', value: `3 heads up to ${head}` });
    expect(chain(`${Number(number) + 1}:${hash}`)).toMatchObject({ verdict: 'violated' });
    expect(chain(`${number}:${'0'.repeat(64)}`)).toMatchObject({ verdict: 'violated' });
    expect(rowOf('TRL-2', 'release chain', {})).toMatchObject({ verdict: 'not collected' });
  });

  it.each([
    [0, 'holds'],
    [2, 'holds'],
    [3, 'violated'],
    [1, 'not collected'],
  ])('of the guard with exit status %i: %s', (exitCode, verdict) => {
    expect(rowOf('CHG-3', 'guard', { given: [guard('production', exitCode)] })).toMatchObject({ verdict });
  });

  it('of the audit trail have its head, and a broken chain is violated', () => {
    expect(rowOf('TRL-2', 'audit head', { given: [audit('production')] })).toMatchObject({
      verdict: 'holds',
      value: head,
    });
    expect(rowOf('TRL-2', 'audit head', { given: [audit('production', { intact: false })] })).toMatchObject({
      verdict: 'violated',
    });
    expect(rowOf('TRL-2', 'audit head', { given: [audit('production', { head: null })] })).toMatchObject({
      verdict: 'not collected',
    });
  });
});

describe('an observation', () => {
  it.each([
    ['of another environment', verification('staging'), 'evidence/other-environment'],
    ['of releases of another environment', releases('staging'), 'evidence/other-environment'],
    ['of the trail of another environment', audit('staging'), 'evidence/other-environment'],
    [
      'without an environment',
      { kind: 'verification', origin: 'v', text: '{"checks":[],"at":"2026-11-27T20:00:00Z"}' },
      'evidence/verification-unnamed',
    ],
    [
      'without a time',
      { kind: 'verification', origin: 'v', text: '{"checks":[],"environment":"production"}' },
      'evidence/observation-malformed',
    ],
    [
      'without checks',
      { kind: 'verification', origin: 'v', text: '{"ok":true}' },
      'evidence/observation-malformed',
    ],
    ['without releases', { kind: 'releases', origin: 'v', text: '{}' }, 'evidence/observation-malformed'],
    [
      'without a head',
      { kind: 'audit', origin: 'v', text: '{"head":{"number":1,"hash":"x"}}' },
      'evidence/observation-malformed',
    ],
    ['without JSON', { kind: 'guard', origin: 'v', text: 'ok' }, 'evidence/observation-malformed'],
  ] as const)('%s is refused', (_, given, code) => {
    expect(() => readObservation(given, 'production')).toThrow(
      expect.objectContaining({ code, exitCode: 2 }),
    );
  });
});
