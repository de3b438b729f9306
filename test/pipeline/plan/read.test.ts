/** The parser refuses whatever the guard could not judge whole, each with its code. */
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../core/fault.ts';
import type { JsonObject } from '../../../core/json.ts';
import { readPlan } from '../../../pipeline/plan/read.ts';
import { document, guarded, resource, server } from './documents.ts';

function codeOf(text: string): string {
  try {
    readPlan(text);
    return 'read';
  } catch (error) {
    return error instanceof Fault ? error.code : `a defect: ${String(error)}`;
  }
}

const update = resource({ before: server, after: { ...server, backup_retention_days: 7 } });
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
const withChange = (inChange: JsonObject, more: JsonObject = {}) =>
  document([resource({ before: server, after: { ...server, backup_retention_days: 7 }, inChange, more })]);

describe('a plan is refused', () => {
  it.each<readonly [string, string, JsonObject | string]>([
    ['that is binary', 'plan/not-json', 'PK\u0003\u0004'],
    ['that is a list', 'plan/not-a-plan', '[]'],
    ['that is null', 'plan/not-a-plan', 'null'],
    ['that is a document of another program', 'plan/not-a-plan', '{"version": 4}'],
    [
      'that is a state',
      'plan/shape-unknown',
      { format_version: '1.0', terraform_version: '1.14.0', prior_state: {} },
    ],
    [
      'that is nested too deeply',
      'plan/too-deep',
      document([update], { variables: nested(300) as JsonObject }),
    ],
    ['of an older Terraform', 'plan/version-unknown', document([update], { terraform_version: '1.10.5' })],
    ['of a newer Terraform', 'plan/version-unknown', document([update], { terraform_version: '1.17.0' })],
    ['of a newer format', 'plan/version-unknown', document([update], { format_version: '2.0' })],
    ['that failed', 'plan/errored', document([update], { errored: true })],
    ['that is not complete', 'plan/incomplete', document([update], { complete: false })],
    [
      'that defers changes',
      'plan/deferred',
      document([update], { deferred_changes: [{ reason: 'unknown' }] }),
    ],
    [
      'with a failed check',
      'plan/check-failed',
      document([update], {
        checks: [
          {
            address: { to_display: 'check.health' },
            status: 'fail',
            instances: [{ status: 'fail', problems: [{ message: 'it is down' }] }],
          },
        ],
      }),
    ],
    [
      'with a failed condition of a resource',
      'plan/check-failed',
      document([update], {
        checks: [
          {
            address: { to_display: 'terraform_data.one', kind: 'resource' },
            status: 'fail',
            instances: [{ status: 'fail' }],
          },
        ],
      }),
    ],
    [
      'with a check block in error',
      'plan/check-failed',
      document([update], {
        checks: [{ address: { to_display: 'check.health', kind: 'check' }, status: 'error' }],
      }),
    ],
    [
      'with a check block in error in one instance',
      'plan/check-failed',
      document([update], {
        checks: [
          {
            address: { to_display: 'check.health', kind: 'check' },
            status: 'fail',
            instances: [{ status: 'fail' }, { status: 'error' }],
          },
        ],
      }),
    ],
    [
      'with a check in error',
      'plan/check-failed',
      document([update], { checks: [{ address: { to_display: 'check.health' }, status: 'error' }] }),
    ],
    [
      'with an action of a provider',
      'plan/actions-invoked',
      document([update], { action_invocations: [{ address: 'action.x' }] }),
    ],
    [
      'with a deferred action of a provider',
      'plan/actions-invoked',
      document([update], { deferred_action_invocations: [{}] }),
    ],
    ['with an unknown key', 'plan/key-unknown', document([update], { query_results: [] })],
    ['with an unknown key of a resource', 'plan/key-unknown', withChange({}, { sidecar: true })],
    ['with an unknown key of a change', 'plan/key-unknown', withChange({ hidden: 1 })],
    ['that forgets', 'plan/action-unknown', withChange({ actions: ['forget'] })],
    ['that creates and forgets', 'plan/action-unknown', withChange({ actions: ['create', 'forget'] })],
    ['with an action of a prototype', 'plan/action-unknown', withChange({ actions: ['constructor'] })],
    [
      'with an unknown action of an output',
      'plan/action-unknown',
      document([update], { output_changes: { o: { actions: ['forget'] } } }),
    ],
    ['with an unknown index', 'plan/action-unknown', withChange({}, { index_unknown: true })],
    ['without errored', 'plan/shape-unknown', document([update], { errored: undefined })],
    ['with changes that are not a list', 'plan/shape-unknown', document([update], { resource_changes: {} })],
    ['that hides a change in a no-op', 'plan/contradiction', withChange({ actions: ['no-op'] })],
    ['that updates nothing', 'plan/contradiction', withChange({ before: null })],
    ['that creates what exists', 'plan/contradiction', withChange({ actions: ['create'] })],
    ['that deletes what stays', 'plan/contradiction', withChange({ actions: ['delete'] })],
    ['that can be applied without a change', 'plan/contradiction', document([], { applyable: true })],
    ['that cannot be applied with a change', 'plan/contradiction', document([update], { applyable: false })],
    [
      'that left out a resource of the state',
      'plan/contradiction',
      document([update], {
        prior_state: {
          values: {
            root_module: { child_modules: [{ resources: [{ address: 'module.a.x.y', mode: 'managed' }] }] },
          },
        },
      }),
    ],
  ])('%s', (_, code, plan) => {
    expect(codeOf(typeof plan === 'string' ? plan : JSON.stringify(plan))).toBe(code);
  });
});

describe('a plan is read', () => {
  it.each(['1.11.4', '1.12.0', '1.13.5', '1.14.1', '1.15.9', '1.16.0-rc2'])('of Terraform %s', (version) => {
    expect(codeOf(JSON.stringify(document([update], { terraform_version: version })))).toBe('read');
  });

  it('with empty lists of actions', () => {
    expect(codeOf(JSON.stringify(document([update], { action_invocations: [], deferred_changes: [] })))).toBe(
      'read',
    );
  });

  it('with identities and generated configuration of newer versions', () => {
    expect(
      codeOf(JSON.stringify(withChange({ before_identity: {}, after_identity: {}, generated_config: '' }))),
    ).toBe('read');
  });
});

describe('a plan without a change of values', () => {
  const same = (more: JsonObject, inChange: JsonObject = {}) =>
    document([resource({ actions: ['no-op'], before: server, after: server, more, inChange })], {
      applyable: true,
    });

  it('shows what is imported and moved', () => {
    const imported = guarded(same({}, { importing: { id: 'x' } }));
    expect(imported).toMatchObject({ exitCode: 2, counts: { import: 1 } });
    expect(imported.verdicts[0]).toMatchObject({ row: 'plan/imported', impact: 'nothing' });
    const moved = guarded(same({ previous_address: 'azurerm_postgresql_flexible_server.old' }));
    expect(moved).toMatchObject({ exitCode: 2, counts: { move: 1 } });
  });

  it('exits 0, and shows drift apart', () => {
    const plan = document([resource({ actions: ['no-op'], before: server, after: server })], {
      resource_drift: [update],
      applyable: false,
    });
    expect(guarded(plan)).toMatchObject({
      exitCode: 0,
      drift: [{ action: 'update', attributes: ['backup_retention_days'] }],
      verdicts: [],
    });
  });

  it('exits 2 if only an output changes', () => {
    const plan = document([], {
      applyable: true,
      output_changes: { o: { actions: ['update'], before: 1, after: 2 } },
    });
    expect(guarded(plan)).toMatchObject({ exitCode: 2, outputs: ['o'] });
  });
});
