/** Time of `llama-db plan --plan` on a plan of 1,000 resources, beside `node -e 0`. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Benchmark, median } from '../benchmark.ts';

const root = join(import.meta.dirname, '../..');
const resources = 1000;

export const benchmark: Benchmark = {
  name: 'plan',
  description: `seconds of judging a plan of ${resources} resources with 500 changes, more than of starting Node`,
  rounds: 7,
  async run({ rounds, log }) {
    const folder = mkdtempSync(join(tmpdir(), 'llama-plan-'));
    try {
      const file = join(folder, 'plan.json');
      const text = JSON.stringify(largePlan());
      writeFileSync(file, text);
      const seconds = { node: [] as number[], plan: [] as number[] };
      for (let round = 0; round <= rounds; round += 1) {
        const node = timed(['-e', '0'], 0);
        const plan = timed(['commands/llama-db.mjs', 'plan', '--plan', file], 2);
        // The first round fills the runner's cache of compiled files.
        if (round === 0) continue;
        seconds.node.push(node);
        seconds.plan.push(plan);
        log(`round ${round}: node ${node.toFixed(2)} s, plan ${plan.toFixed(2)} s`);
      }
      return {
        figures: {
          size: { value: text.length / 1_000_000, unit: 'MB' },
          'more than node': { value: median(seconds.plan) - median(seconds.node), unit: 's' },
        },
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

function timed(parameters: readonly string[], status: number): number {
  const start = performance.now();
  const run = spawnSync(process.execPath, parameters, { cwd: root, encoding: 'utf8' });
  if (run.status !== status) throw new Error(`${parameters[0]} ended with ${run.status}: ${run.stderr}`);
  return (performance.now() - start) / 1000;
}

/** Parameters of ten servers, each after the one before, half of them with another value. */
function largePlan(): object {
  const type = 'azurerm_postgresql_flexible_server_configuration';
  const provider = 'registry.terraform.io/hashicorp/azurerm';
  const all = Array.from({ length: resources }, (_, number) => {
    const name = `parameter_${number}`;
    const server = `/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/server-${number % 10}`;
    const values = (value: string) => ({
      id: `${server}/configurations/${number}`,
      name: 'work_mem',
      server_id: server,
      value,
      timeouts: null,
    });
    const [before, after] = [values('4096'), values(number % 2 === 0 ? '8192' : '4096')];
    return { name, address: `${type}.${name}`, before, after };
  });
  const module = (side: 'before' | 'after') => ({
    resources: all.map((one) => ({
      address: one.address,
      mode: 'managed',
      type,
      name: one.name,
      provider_name: provider,
      schema_version: 0,
      values: one[side],
      sensitive_values: {},
    })),
  });
  return {
    format_version: '1.2',
    terraform_version: '1.11.4',
    planned_values: { root_module: module('after') },
    resource_changes: all.map(({ address, name, before, after }) => ({
      address,
      mode: 'managed',
      type,
      name,
      provider_name: provider,
      change: {
        actions: [before.value === after.value ? 'no-op' : 'update'],
        before,
        after,
        after_unknown: {},
        before_sensitive: {},
        after_sensitive: {},
      },
    })),
    prior_state: { format_version: '1.0', values: { root_module: module('before') } },
    configuration: {
      provider_config: { azurerm: { name: 'azurerm', full_name: provider } },
      root_module: {
        resources: all.map(({ address, name }, place) => ({
          address,
          mode: 'managed',
          type,
          name,
          provider_config_key: 'azurerm',
          expressions: { value: { constant_value: '8192' } },
          depends_on: place === 0 ? [] : [all[place - 1]?.address],
        })),
      },
    },
    timestamp: '2026-11-27T12:00:00Z',
    applyable: true,
    complete: true,
    errored: false,
  };
}
