/** Refusals, waivers and exit statuses of the guard. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../core/json.ts';
import type { Verdict } from '../../../pipeline/plan/judge.ts';
import { refusalRules } from '../../../pipeline/plan/rules.ts';
import { readWaivers, type Waiver } from '../../../pipeline/plan/waivers.ts';
import { document, guarded, resource, server } from './documents.ts';

const changed = (after: JsonObject, before: JsonObject = {}) =>
  document([resource({ before: { ...server, ...before }, after: { ...server, ...before, ...after } })]);

const shorter = changed({ backup_retention_days: 7 });

/** By rule: a plan that it refuses. */
const refused: Readonly<Record<string, JsonObject>> = {
  'GRD-001': document([resource({ actions: ['delete'], before: server, after: null })]),
  'GRD-002': changed({ public_network_access_enabled: true }),
  'GRD-003': shorter,
  'GRD-004': changed({ zone: '2' }, { zone: '1' }),
  'GRD-005': changed({ brand_new: 1 }),
};

describe('a rule of refusal', () => {
  it.each(refusalRules.map(({ id }) => [id] as const))('%s', (id) => {
    const plan = refused[id] ?? {};
    const report = guarded(plan);
    expect(report.exitCode).toBe(3);
    expect(report.refusals.map(({ rule }) => rule.id)).toEqual([id]);
    expect(guarded(plan, { isProtected: false })).toMatchObject({ exitCode: 2, refusals: [] });
  });

  it('has no row here that no rule needs', () => {
    expect(Object.keys(refused)).toEqual(refusalRules.map(({ id }) => id));
  });

  it('refuses no refusal by Azure that depends on something else', () => {
    expect(guarded(changed({ storage_tier: 'P20' }, { storage_tier: 'P30' }))).toMatchObject({
      exitCode: 2,
      impact: 'refused-by-azure',
    });
  });
});

function waiverFor(plan: JsonObject, more: Partial<Waiver> = {}): Waiver {
  const [refusal] = guarded(plan).refusals;
  if (!refusal) throw new Error('the plan is not refused');
  const { address, impact, fingerprint } = refusal;
  const reason = 'Restores beyond a week are taken from the vault.';
  return {
    environment: 'production',
    address,
    impact,
    fingerprint,
    reason,
    by: 'A Reviewer',
    expires: '2026-12-31',
    ...more,
  };
}

describe('a waiver', () => {
  it('covers the change that it was written for', () => {
    expect(guarded(shorter, { waivers: [waiverFor(shorter)] })).toMatchObject({
      exitCode: 2,
      refusals: [],
      waived: [{ address: 'azurerm_postgresql_flexible_server.one' }],
    });
  });

  it('does not cover the next change of the same address', () => {
    const next = changed({ backup_retention_days: 8 });
    expect(guarded(next, { waivers: [waiverFor(shorter)] })).toMatchObject({
      exitCode: 3,
      refusals: [{ almost: 'the waiver of A Reviewer is for other values' }],
    });
    const from = changed({ backup_retention_days: 7 }, { backup_retention_days: 21 });
    expect(guarded(from, { waivers: [waiverFor(shorter)] }).exitCode).toBe(3);
  });

  it('does not cover another impact of the same change', () => {
    const both = changed({ backup_retention_days: 7, public_network_access_enabled: true });
    expect(guarded(both, { waivers: [waiverFor(shorter)] }).refusals).toMatchObject([
      { impact: 'security-weakened' },
    ]);
  });

  it('does not cover the next change below a ReadOnly lock, whose refusal is about no attribute', () => {
    const lock = resource({
      type: 'azurerm_management_lock',
      actions: ['no-op'],
      before: { scope: server['id'] ?? '', lock_level: 'ReadOnly' },
      after: { scope: server['id'] ?? '', lock_level: 'ReadOnly' },
    });
    const tagged = (value: string) =>
      document([resource({ before: server, after: { ...server, tags: { a: value } } }), lock]);
    const waivers = [waiverFor(tagged('one'))];
    expect(guarded(tagged('one'), { waivers })).toMatchObject({ exitCode: 2, impact: 'refused-by-azure' });
    expect(guarded(tagged('two'), { waivers }).exitCode).toBe(3);
  });

  it('of a value that is known after the apply does not cover a known one', () => {
    const open = document([
      resource({ before: server, after: server, unknown: { backup_retention_days: true } }),
    ]);
    const waivers = [waiverFor(open)];
    expect(guarded(open, { waivers }).exitCode).toBe(2);
    expect(guarded(shorter, { waivers }).exitCode).toBe(3);
  });

  it('is for one server as it is: a replaced one needs another', () => {
    const destroyed = (more: JsonObject) =>
      document([resource({ actions: ['delete'], before: { ...server, ...more }, after: null })]);
    const waivers = [waiverFor(destroyed({}))];
    expect(guarded(destroyed({}), { waivers }).exitCode).toBe(2);
    expect(guarded(destroyed({ storage_mb: 1048576 }), { waivers }).exitCode).toBe(3);
  });

  it.each([
    ['has expired', { expires: '2026-11-26' }, 'it expired on 2026-11-26'],
    ['reaches too far', { expires: '2027-11-27' }, 'it reaches further than 90 days'],
  ])('does not count if it %s', (_, more, reason) => {
    const [refusal] = guarded(shorter, { waivers: [waiverFor(shorter, more)] }).refusals;
    expect(refusal?.almost).toContain(reason);
  });

  it('counts on its last day, and in its environment only', () => {
    expect(guarded(shorter, { waivers: [waiverFor(shorter, { expires: '2026-11-27' })] }).exitCode).toBe(2);
    expect(guarded(shorter, { waivers: [waiverFor(shorter, { environment: 'staging' })] }).exitCode).toBe(3);
  });
});

describe('the file of waivers', () => {
  const read = (content: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'llama-waivers-'));
    try {
      const file = join(folder, 'waivers.json');
      writeFileSync(file, content);
      return readWaivers(file);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it('may be absent', () => {
    expect(readWaivers('/nowhere/waivers.json')).toEqual([]);
  });

  it('is read', () => {
    const waiver = waiverFor(shorter);
    expect(read(JSON.stringify({ waivers: [waiver] }))).toEqual([waiver]);
  });

  it.each([
    ['is not JSON', '{'],
    ['has a waiver without a reason', JSON.stringify({ waivers: [{ ...waiverFor(shorter), reason: ' ' }] })],
    ['has a waiver without a person', JSON.stringify({ waivers: [{ ...waiverFor(shorter), by: '' }] })],
    [
      'has a waiver without an end',
      JSON.stringify({ waivers: [{ ...waiverFor(shorter), expires: 'never' }] }),
    ],
    [
      'has a waiver for any values',
      JSON.stringify({ waivers: [{ ...waiverFor(shorter), fingerprint: '*' }] }),
    ],
    ['has an unknown key', JSON.stringify({ waivers: [{ ...waiverFor(shorter), everything: true }] })],
  ])('is refused if it %s', (_, content) => {
    expect(() => read(content)).toThrow(expect.objectContaining({ code: 'plan/waivers-unreadable' }));
  });
});

describe('a plan without a change', () => {
  const plan = document([resource({ actions: ['no-op'], before: server, after: server })]);

  it('exits 0', () => {
    expect(guarded(plan, { isProtected: false }).exitCode).toBe(0);
  });

  it('exits 2 if this checkout has other migrations than the plan', () => {
    const verdict: Verdict = {
      row: 'migration/other-checkout',
      impact: 'unknown',
      says: 'the plan was made from another version of the file',
      address: 'migrations/0001_first.sql',
      type: 'migration',
      action: 'create',
      fingerprint: 'a',
    };
    const migrations = { files: [], verdicts: [verdict] };
    expect(guarded(plan, { isProtected: false, migrations })).toMatchObject({
      exitCode: 2,
      impact: 'unknown',
    });
  });
});

describe('the chain of operations', () => {
  it('destroys dependents first, creates them last, and ends with the post-deploy step', () => {
    const type = 'azurerm_postgresql_flexible_server_database';
    const step = { migrations: {}, settings: {} };
    const plan = document(
      [
        resource({
          type: 'terraform_data',
          address: 'terraform_data.post_deploy',
          actions: ['delete', 'create'],
          before: { triggers_replace: step },
          after: { triggers_replace: { ...step, settings: { a: 1 } } },
        }),
        resource({ type, address: `${type}.new`, actions: ['create'], before: null, after: { name: 'new' } }),
        resource({ actions: ['create'], before: null, after: { name: 'one' } }),
        resource({ type, address: `${type}.old`, actions: ['delete'], before: { name: 'old' }, after: null }),
      ],
      {
        configuration: {
          root_module: {
            resources: [
              {
                address: `${type}.new`,
                expressions: {
                  server_id: {
                    references: [
                      'azurerm_postgresql_flexible_server.one.id',
                      'azurerm_postgresql_flexible_server.one',
                    ],
                  },
                },
              },
              { address: 'azurerm_postgresql_flexible_server.one', expressions: {} },
            ],
          },
        },
      },
    );
    expect(guarded(plan).chain.map(({ address }) => address)).toEqual([
      `${type}.old`,
      'azurerm_postgresql_flexible_server.one',
      `${type}.new`,
      'terraform_data.post_deploy',
    ]);
  });
});

describe('a pair in two modules', () => {
  const type = 'azurerm_postgresql_flexible_server';
  const source = String(server['id']);
  const pair = (primary: string, replica: string) => {
    const own = (address: string, before: JsonObject) =>
      resource({ address, before, after: { ...before, sku_name: 'GP_Standard_D8s_v3' } });
    const module = (expressions: JsonObject): JsonObject => ({
      outputs: {
        id: { expression: { references: [`${type}.this[0].id`, `${type}.this[0]`, `${type}.this`] } },
      },
      resources: [{ address: `${type}.this`, expressions }],
    });
    return document(
      [
        own(`module.primary.${type}.this[0]`, server),
        own(`module.replica.${type}.this[0]`, {
          ...server,
          id: `${source}-replica`,
          name: 'two',
          create_mode: 'Replica',
          source_server_id: source,
        }),
      ],
      {
        configuration: {
          root_module: {
            module_calls: {
              [primary]: { module: module({}) },
              [replica]: {
                expressions: { source_id: { references: [`module.${primary}.id`, `module.${primary}`] } },
                module: module({ source_server_id: { references: ['var.source_id'] } }),
              },
            },
          },
        },
      },
    );
  };

  it('is changed in the order of their references', () => {
    const wrong = guarded(pair('primary', 'replica'));
    expect(wrong.refusals).toMatchObject([
      { rule: { id: 'GRD-004' }, address: `module.primary.${type}.this[0]` },
    ]);
    expect(wrong.chain.map(({ address }) => address.split('.')[1])).toEqual(['primary', 'replica']);
    expect(guarded(pair('replica', 'primary'))).toMatchObject({ refusals: [], impact: 'restart' });
  });
});
