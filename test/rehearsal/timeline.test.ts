import { describe, expect, it } from 'vitest';
import type { OperationRecord } from '../../local/azure/index.ts';
import type { ResourceRun } from '../../rehearsal/terraform/stack.ts';
import { placeOf } from '../../rehearsal/timeline/lanes.ts';
import type { Timeline } from '../../rehearsal/timeline/model.ts';
import { page } from '../../rehearsal/timeline/page.ts';
import { scaleOf } from '../../rehearsal/timeline/scale.ts';
import { timelineText } from '../../rehearsal/timeline/text.ts';
import { providerOnly, waitOf } from '../../rehearsal/timeline/waits.ts';

const group = '/subscriptions/2b0942f3/resourceGroups/rg';
const server = `${group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama`;
const peering = `${group}/providers/Microsoft.Network/virtualNetworks/net/virtualNetworkPeerings/to-westus2`;

function operation(target: string, startedAt: number, endedAt: number, more = {}): OperationRecord {
  const type =
    target === group ? 'Microsoft.Resources/resourceGroups' : 'Microsoft.DBforPostgreSQL/flexibleServers';
  return {
    ...{
      id: target,
      method: 'PUT',
      target,
      type,
      startedAt,
      endedAt,
      outcome: 'Succeeded',
      error: undefined,
    },
    ...more,
  };
}

function resource(address: string, id: string, startedAt: number, endedAt: number): ResourceRun {
  const seconds = (endedAt - startedAt) / 1000;
  return { address, id, action: 'create', startedAt, endedAt, seconds, outcome: 'complete' };
}

const groupRun = resource('azurerm_resource_group.group', group, 1000, 21_000);
const serverRun = resource('azurerm_postgresql_flexible_server.server', server, 21_000, 24_000);
const operations = [operation(group, 1000, 1100), operation(server, 21_100, 23_900)];

describe('the waits of the provider', () => {
  it('begin after the last operation on the resource, and end with the resource', () => {
    expect(waitOf(groupRun, operations)).toEqual({ startedAt: 1100, endedAt: 21_000, target: group });
    expect(waitOf(serverRun, operations)).toBeUndefined();
  });

  it('come first if the provider waits before its request', () => {
    const run = resource('azurerm_virtual_network_peering.peering', peering, 2000, 17_500);
    expect(waitOf(run, [operation(peering, 17_000, 17_400)])).toMatchObject({
      startedAt: 2000,
      endedAt: 17_000,
    });
  });

  it('count as provider-only while no other resource is in progress', () => {
    expect(providerOnly([groupRun, serverRun], operations)).toEqual([{ startedAt: 1100, endedAt: 21_000 }]);
    const meanwhile = resource('azurerm_key_vault.vault', `${server}x`, 5000, 6000);
    expect(providerOnly([groupRun, serverRun, meanwhile], operations)).toEqual([
      { startedAt: 1100, endedAt: 5000 },
      { startedAt: 6000, endedAt: 21_000 },
    ]);
  });

  it('do not include resources without such a rule', () => {
    const slow = resource('azurerm_log_analytics_workspace.logs', group, 1000, 21_000);
    expect(providerOnly([slow], operations)).toEqual([]);
  });
});

describe('the picture', () => {
  it('folds a long wait and keeps everything else in proportion', () => {
    const scale = scaleOf(
      { startedAt: 0, endedAt: 30_000 },
      [{ startedAt: 5000, endedAt: 25_000 }],
      100,
      1058,
    );
    expect(scale.folds).toHaveLength(1);
    expect([0, 5000, 25_000, 30_000].map((at) => Math.round(scale.x(at)))).toEqual([100, 600, 658, 1158]);
    expect(scale.ticks.some(({ seconds }) => seconds > 5 && seconds < 25)).toBe(false);
  });

  it.each([
    [`${server}/configurations/work_mem`, 'llama', 'parameters'],
    [server, 'llama', 'server'],
    [`${server}/providers/Microsoft.Authorization/locks/do-not-delete`, 'Protection', 'locks'],
    [`${server}/providers/Microsoft.Insights/diagnosticSettings/logs`, 'Monitoring', 'diagnostic settings'],
    [peering, 'Network', 'networks, subnets'],
    [group, 'Resource groups', 'groups'],
  ])('assigns %s to its lane', (target, where, lane) => {
    expect(placeOf(target)).toEqual({ group: where, lane });
  });
});

const refused = operation(server, 24_000, 24_000, {
  ...{ method: 'DELETE', outcome: 'Refused' },
  error: { code: 'ScopeLocked', message: 'locked <by> somebody' },
});

const timeline: Timeline = {
  ...{ environment: 'production', title: 'A <title> & more', startedAt: 0, endedAt: 25_000, idle: [] },
  operations: [...operations, refused],
  checks: [{ claim: 'the plan is empty', at: 25_000 }],
  bars: [
    {
      ...{ group: 'llama', lane: 'server', kind: 'operation', label: 'DELETE llama', outcome: 'refused' },
      ...{ startedAt: 24_000, endedAt: 24_000, detail: 'ScopeLocked: locked <by> somebody' },
    },
  ],
  figures: {
    ...{ firstDeployment: 25_000, providerOnly: 19_900, operations: 3, refused: 1, requests: 40 },
    waits: [{ type: 'azurerm_resource_group', rule: 'three looks', count: 1, longest: 19_900 }],
    memory: 150 * 1024 * 1024,
  },
};

describe('a timeline', () => {
  it('has one line per operation, then the figures', () => {
    const text = timelineText(timeline);
    expect(text).toMatch(/21\.10 s +2\.80 s +PUT +flexibleServers llama$/m);
    expect(text).toMatch(/24\.00 s +0\.00 s +DELETE +flexibleServers llama Refused \(ScopeLocked\)$/m);
    expect(text.split('\n').filter((line) => line.length > 80 || line.endsWith(' '))).toEqual([]);
    expect(text).toMatch(/without them +5\.1 s/);
    expect(text).toMatch(/memory .* 150 MB/);
  });

  it('is a self-contained page that escapes all text', () => {
    const html = page(timeline);
    expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org\/2000\/svg)|<link|@import/);
    expect(html).toContain('A &lt;title&gt; &amp; more');
    expect(html).toContain('locked &lt;by&gt; somebody');
    expect(html).toMatch(/<rect class="operation refused"/);
    expect(html).toContain('Azure is played by a local program');
    expect(html).toMatch(/llama-db \d+\.\d+\.\d+, commit [0-9a-f]{7,}/);
  });
});
