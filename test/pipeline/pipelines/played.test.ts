// Duration: 1800 s
/**
 * The pipelines played on one machine: the steps of the workflows in their order, each as the identity of its job, from the
 * pull request to production, against local Azures by the real Terraform and azurerm.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environments } from '../../../environments/index.ts';
import { hasError } from '../../../rehearsal/sandbox/commands.ts';
import { whyNoTerraform } from '../../../rehearsal/terraform/installation.ts';
import { includesLong, takesMinutes } from '../../support/extent.ts';
import { azureDevOps, github, type Prepared, prepare, trustNights } from './machines.ts';
import { azurePipelines, type Job, workflows } from './pipelines.ts';
import { type Machine, type Played, Player, type PlayOptions } from './player.ts';

const missing = await whyNoTerraform();
const reason = missing ?? (includesLong ? undefined : takesMinutes);
const { names } = environments;
const [first = '', , last = ''] = names;
const pairs = names.slice(1).map((target, place) => [names[place] ?? '', target] as const);

let prepared: readonly Prepared[] = [];
let machines: ReadonlyMap<string, Machine>;
let onGithub: Player;
let onAzureDevOps: Player;

beforeAll(async () => {
  if (reason !== undefined) return;
  prepared = await Promise.all(names.map((name) => prepare(name, false)));
  machines = new Map(prepared.map(({ machine }) => [machine.sandbox.environment, machine]));
  const values = new Map(prepared.flatMap((one) => [...one.values]));
  onGithub = new Player(machines, github, values);
  onAzureDevOps = new Player(machines, azureDevOps, values);
}, 600_000);
afterAll(async () => {
  for (const { machine } of prepared) await machine.sandbox.close();
});

const machineOf = (name: string): Machine => {
  const machine = machines.get(name);
  if (!machine) throw new Error(`no machine has ${name}`);
  return machine;
};

const jobOf = (file: string, name: string): Job => {
  const all = [...workflows, ...azurePipelines];
  const job = all.find((one) => one.file === file)?.jobs.find((one) => one.name === name);
  if (!job) throw new Error(`${file} has no job ${name}`);
  return job;
};
const workflow = (file: string, name: string) => jobOf(`.github/workflows/${file}`, name);

function succeeded({ failed, ended, output }: Played, commands: number): void {
  expect([failed, ended.length], output).toEqual([undefined, commands]);
}

/** Accepts the groups that one machine cannot check: a promotion without it is closed, and says so. */
async function promoted(player: Player, job: Job, options: PlayOptions): Promise<Played> {
  const closed = await player.play(job, options);
  expect(closed.ended.at(-1)?.exitCode, closed.output).toBe(3);
  expect(closed.output).toContain(`1 of 11 gates are closed`);
  // pg_cron does not exist everywhere.
  const [, skipped = ''] = /it skipped ([a-z, ]+?)\s*\n/.exec(closed.output) ?? [];
  return player.play(job, {
    ...options,
    edit: (words) => [...words, ...(words[0] === 'promote' ? ['--except', skipped.replaceAll(' ', '')] : [])],
  });
}

describe('the workflows of GitHub', () => {
  const timeout = 1_800_000;
  const plan = workflow('pull-request.yml', 'plan');

  it(
    'plan no pull request before the first release, because the state does not exist',
    async (context) => {
      context.skip(reason !== undefined, reason);
      const [matrix] = plan.matrix;
      const { output } = await onGithub.play(plan, matrix ? { matrix } : {});
      expect(output).toMatch(/AuthorizationPermissionMismatch.*\[terraform\/failed\]/);
    },
    timeout,
  );

  it(
    'release development after a merge',
    async (context) => {
      context.skip(reason !== undefined, reason);
      succeeded(await onGithub.play(workflow('development.yml', 'release')), 2);
    },
    timeout,
  );

  it.for(pairs)(
    'promote %s to %s, and refuse everybody else',
    { timeout },
    async ([source, target], context) => {
      context.skip(reason !== undefined, reason);
      const inputs = { source, target };
      succeeded(await onGithub.play(workflow('promote.yml', 'inspect'), { inputs }), 1);
      succeeded(await promoted(onGithub, workflow('promote.yml', 'plan'), { inputs }), 1);
      const apply = workflow('promote.yml', 'apply');
      const withoutKey = { ...apply, steps: apply.steps.map((step) => ({ ...step, env: {} })) };
      const locked = await onGithub.play(withoutKey, { inputs });
      expect(hasError(locked.output, 'release/key-missing'), locked.output).toBe(true);
      const { environment: _, ...ofPullRequest } = { ...apply, name: target };
      const refused = await onGithub.play(ofPullRequest, { inputs }).catch((error: Error) => error.message);
      expect(JSON.stringify(refused)).toMatch(/ARM_|AADSTS|Authorization/);
      succeeded(await onGithub.play(apply, { inputs }), 1);
      const { checkout } = machineOf(target);
      const [record] = JSON.parse(await checkout.read('release/record.json')).releases;
      expect(record).toMatchObject({ environment: target, outcome: 'verified' });
    },
  );

  it.for(plan.matrix.map((one) => [String(one['environment']), one] as const))(
    'plan a pull request as the plan identity of %s',
    { timeout },
    async ([, matrix], context) => {
      context.skip(reason !== undefined, reason);
      succeeded(await onGithub.play(plan, { matrix }), 1);
      expect([...onGithub.artifacts.keys()]).toContain(`review-${matrix['environment']}`);
    },
  );

  it.for(workflow('nightly.yml', 'watch').matrix.map((one) => [String(one['environment']), one] as const))(
    'watch %s at night, once its identity trusts the schedule',
    { timeout },
    async ([name, matrix], context) => {
      context.skip(reason !== undefined, reason);
      const watch = workflow('nightly.yml', 'watch');
      const stranger = await onGithub.play(watch, { matrix });
      expect(stranger.output).toMatch(/AADSTS700213/);
      await trustNights(machineOf(name));
      succeeded(await onGithub.play(watch, { matrix }), 2);
    },
  );
});

describe('the pipelines of Azure DevOps', () => {
  const timeout = 1_800_000;
  const release = azurePipelines.find(({ file }) => file.endsWith('/release.yml'));
  const others = azurePipelines
    .filter((one) => one !== release)
    .flatMap(({ jobs }) => jobs)
    // A server that somebody has restored does not exist here.
    .filter(({ condition }) => !condition?.includes('RESTORED_URL'));

  it(
    'release the next commit to every environment in turn',
    async (context) => {
      context.skip(reason !== undefined, reason);
      for (const [name, { checkout, sandbox }] of machines) {
        // pg_cron seals the audit trail every few minutes, and does not exist everywhere. A new machine has no database yet.
        if (sandbox.stateBlob) await sandbox.command('maintain', name);
        await checkout.write('migrations/README.md', 'The next commit.\n');
        await checkout.commit('Next');
        await checkout.git('update-ref', 'refs/remotes/origin/main', 'HEAD');
      }
      for (const job of release?.jobs ?? []) {
        const isPromotion = job.steps.some(({ run }) => run?.includes('llama-db promote'));
        const played = isPromotion ? await promoted(onAzureDevOps, job, {}) : await onAzureDevOps.play(job);
        expect(played.failed, played.output).toBeUndefined();
      }
      const { releases } = JSON.parse(
        onAzureDevOps.artifacts.get(`record-${last}`)?.get('record.json')?.toString() ?? '{}',
      );
      expect(releases[0]).toMatchObject({ environment: last, outcome: 'verified' });
      expect(onAzureDevOps.artifacts.get(`release-${last}`)?.has('plan')).toBe(false);
    },
    timeout,
  );

  it.for(others.map((job) => [`${job.pipeline} ${job.name}`, job] as const))(
    'play %s',
    { timeout },
    async ([, job], context) => {
      context.skip(reason !== undefined, reason);
      const { failed, output } = await onAzureDevOps.play(job);
      expect(failed, output).toBeUndefined();
    },
  );

  it(
    'refuse a job with the service connection of another purpose',
    async (context) => {
      context.skip(reason !== undefined, reason);
      const [job] = release?.jobs ?? [];
      if (!job) return;
      const steps = job.steps.map((step) => ({
        ...step,
        with: { ...step.with, azureSubscription: `llama-mapper-${first}-plan` },
      }));
      const { output } = await onAzureDevOps.play({ ...job, steps });
      expect(output).toMatch(/AADSTS700213/);
    },
    timeout,
  );
});
