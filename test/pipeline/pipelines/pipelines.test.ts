/** The pipelines as they are written: commands that parse, pinned actions, permissions, environments, and what they hand over. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inputs } from '../../../environments/list.ts';
import { namesWith } from '../../../environments/traits.ts';
import { realProgram } from '../../support/command-line.ts';
import { readYaml } from '../../support/yaml.ts';
import { azurePipelines, type Job, type Step, wordsOf, workflowFolder, workflows } from './pipelines.ts';

const program = await realProgram();
const all = [...workflows, ...azurePipelines];
const names = Object.keys(inputs);
const steps = all.flatMap(({ jobs }) => jobs.flatMap((job) => job.steps.map((step) => [job, step] as const)));
const placeOf = ({ pipeline, name }: Job, step: Step) => `${pipeline} ${name}: ${step.name}`;

/** Releases of the actions and the commits of their tags, read in clones of the repositories. */
const pinned: Readonly<Record<string, readonly [version: string, commit: string]>> = {
  'actions/attest': ['v4.2.2', '1e69f48acb82d1966a394da916b4c1698aa569d6'],
  'actions/checkout': ['v7.0.1', '3d3c42e5aac5ba805825da76410c181273ba90b1'],
  'actions/download-artifact': ['v8.0.1', '3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c'],
  'actions/setup-node': ['v7.0.0', '820762786026740c76f36085b0efc47a31fe5020'],
  'actions/upload-artifact': ['v7.0.0', 'bbbca2ddaa5d8feaa63e36b76fdaad77386f024f'],
  'azure/login': ['v3.0.1', 'f5d393ae46f8fde4be8b75f32e3fc50e654ad0ca'],
  'hashicorp/setup-terraform': ['v4.0.1', 'dfe3c3f87815947d99a8997f908cb6525fc44e9e'],
};

const runs = (job: Job, command: RegExp) => job.steps.some(({ run = '' }) => command.test(run));

describe('every step', () => {
  it('is found', () => {
    expect(workflows.length).toBe(4);
    expect(azurePipelines.length).toBe(3);
    expect(steps.filter(([, { run }]) => run?.includes('llama-db')).length).toBeGreaterThan(15);
    expect(() => readYaml('a: "b\n')).toThrow(/line 1/);
  });

  it.each(
    steps.flatMap(([job, step]) => (step.run === undefined ? [] : [[placeOf(job, step), step.run] as const])),
  )('%s is one command that exists', async (_, run) => {
    expect(run).not.toMatch(/[\n;|&<>`]|\$\{\{|\$\(\(/);
    const words = wordsOf(run, { SOURCE: names[0] ?? '', TARGET: names.at(-1) ?? '' });
    if (words) await program.parseAsync(words, { from: 'user' });
    else expect(run).toMatch(/^(npm ci --omit=dev|gh attestation verify .+|rm -f release\/plan)$/);
  });

  it('uses actions by the commits of their releases', () => {
    for (const { file, source } of workflows) {
      const used = [...source.matchAll(/^\s*(?:- )?uses: (.*)$/gm)].map(([, value = '']) => value);
      expect(used.length).toBeGreaterThan(3);
      for (const value of used) {
        const [, action = '', commit, version] = /^([\w/-]+)@([0-9a-f]{40}) # (v[\d.]+)$/.exec(value) ?? [];
        expect([version, commit], `${file}: ${value}`).toEqual(pinned[action]);
      }
    }
  });

  it('installs the same Terraform in every job that uses it: a release is applied by the version that planned it', () => {
    const usesTerraform = ({ steps: own }: Job) =>
      own.some(({ run = '' }) => /llama-db (?!verify --url )/.test(run));
    const versions = all.flatMap(({ jobs }) =>
      jobs
        .filter(usesTerraform)
        .map(
          ({ steps: own }) =>
            own.find(({ uses }) => /setup-terraform@|TerraformInstaller@/.test(uses ?? ''))?.with ?? {},
        ),
    );
    const found = versions.map((one) => one['terraform_version'] ?? one['terraformVersion']);
    expect(found.length).toBeGreaterThan(10);
    expect([...new Set(found)]).toEqual(['1.11.4']);
  });

  it('names only environments of the project', () => {
    const mentioned = all.flatMap(({ source }) =>
      [...source.matchAll(/^\s*(?:- )?(?:environment|options): \[?([\w, -]+)/gm)].flatMap(([, found = '']) =>
        found.split(/, ?/),
      ),
    );
    expect(mentioned.length).toBeGreaterThan(8);
    expect(mentioned.filter((one) => !names.includes(one.trim().replace(/-nightly$/, '')))).toEqual([]);
  });

  it('promotes in the order of the environments', () => {
    const promotions = azurePipelines.flatMap(({ jobs }) =>
      jobs.flatMap((job) =>
        job.steps.flatMap(({ run = '' }) => /promote (\w+) (\w+)/.exec(run)?.slice(1, 3) ?? []),
      ),
    );
    expect(promotions).toEqual(names.slice(1).flatMap((name, place) => [names[place] ?? '', name]));
  });
});

describe('a workflow', () => {
  it.each(workflows.map((one) => [one.file, one] as const))(
    '%s gives no token to anything but its jobs',
    (_, { document, jobs }) => {
      expect(document['permissions']).toEqual({});
      expect(document['concurrency']).toHaveProperty('group');
      for (const job of jobs) {
        const wanted = {
          contents: 'read',
          'id-token': 'write',
          ...(runs(job, /--post\b/) ? { 'pull-requests': 'write' } : {}),
          ...(job.steps.some(({ uses }) => uses?.startsWith('actions/attest@'))
            ? { attestations: 'write', 'artifact-metadata': 'write' }
            : {}),
        };
        expect(job.permissions, job.name).toEqual(wanted);
      }
    },
  );

  it('plans a pull request as the plan identity, whose subject has no environment, and never one of a fork', () => {
    const [request] = workflows.filter(({ document }) =>
      Object.hasOwn(Object(document['on']), 'pull_request'),
    );
    const [job] = request?.jobs ?? [];
    expect(request?.jobs.length).toBe(1);
    expect(job?.environment).toBeUndefined();
    expect(job && runs(job, /llama-db plan /)).toBe(true);
    expect(request?.source).toContain('github.event.pull_request.head.repo.full_name == github.repository');
    expect(all.filter(({ source }) => /pull_request_target/.test(source))).toEqual([]);
    expect(
      all
        .flatMap(({ jobs }) => jobs)
        .filter((one) => runs(one, /llama-db (release|promote|drift)/) && !one.environment),
    ).toEqual([]);
  });

  it('deploys one release at a time to an environment, and interrupts none', () => {
    const deploying = workflows.filter(({ jobs }) => jobs.some((job) => runs(job, /release apply/)));
    expect(deploying.map(({ document }) => document['concurrency'])).toEqual([
      { group: 'deploy-development', 'cancel-in-progress': 'false' },
      { group: expect.stringMatching(/^deploy-\$\{\{ inputs\.target \}\}$/), 'cancel-in-progress': 'false' },
    ]);
  });

  it('checks out the history where a release is bound to it, and keeps no token in the checkout', () => {
    for (const { jobs } of workflows)
      for (const job of jobs) {
        const [checkout] = job.steps;
        expect(checkout?.with['persist-credentials']).toBe('false');
        if (runs(job, /llama-db (release|promote|drift)/))
          expect(checkout?.with['fetch-depth'], job.name).toBe('0');
      }
  });

  it('hands over no plan in clear, and the private key to the apply alone', () => {
    const uploaded = steps.flatMap(([, { uses = '', with: given }]) =>
      uses.startsWith('actions/upload-artifact@') ? String(given['path']).split('\n') : [],
    );
    expect(
      uploaded.filter(
        (path) => /plan(\.json)?$/.test(path) || !/\.(json|hcl|html|md|sarif|sealed)$/.test(path),
      ),
    ).toEqual([]);
    const holders = steps.filter(([, step]) => JSON.stringify(step.env).includes('LLAMA_DB_RELEASE_KEY'));
    expect(holders.length).toBe(3);
    expect(holders.filter(([, { run = '' }]) => !/release apply/.test(run))).toEqual([]);
    for (const { source } of workflows)
      expect(source.match(/secrets\.(?!LLAMA_DB_RELEASE_KEY\b)\w+/)).toBeNull();
  });

  it('applies what the job before it has planned and signed', () => {
    const [promote] = workflows.filter(({ file }) => file.endsWith('/promote.yml'));
    const order = promote?.jobs.map(({ name, steps: own }) => [
      name,
      own.flatMap(({ run, uses }) => run ?? uses?.split('@') ?? []),
    ]);
    const flat = JSON.stringify(order);
    const places = [
      'release inspect',
      'llama-db promote',
      'actions/attest',
      'gh attestation verify',
      'release apply',
    ].map((one) => flat.indexOf(one));
    expect(places.every((place, index) => place > (places[index - 1] ?? 0))).toBe(true);
  });

  it('watches every environment whose state is shared', () => {
    const shared = namesWith(inputs, { needs: ['remoteState'] });
    for (const file of ['.github/workflows/nightly.yml', 'pipelines/azure/nightly.yml']) {
      const source = all.find((one) => one.file === file)?.source ?? '';
      expect(shared.filter((name) => !source.includes(name))).toEqual([]);
    }
  });
});

describe('tools find nothing', () => {
  const found = (program: string) => spawnSync(program, ['--version']).status === 0;

  it('actionlint', { timeout: 120_000 }, (context) => {
    const own = found('actionlint') ? ['actionlint'] : undefined;
    const module = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12';
    const command = own ?? ['go', 'run', module];
    context.skip(
      !own && spawnSync('go', ['run', module, '-version']).status !== 0,
      'needs Go and the module actionlint 1.7.12',
    );
    const [name = '', ...parameters] = command;
    execFileSync(name, [...parameters, '-no-color'], { encoding: 'utf8' });
  });

  it('zizmor', { timeout: 120_000 }, (context) => {
    const local = join('tmp/pipeline-tools/bin/zizmor');
    const tool = existsSync(local) ? local : 'zizmor';
    context.skip(!found(tool), 'needs zizmor of PyPI, which .ci/run installs in tmp/pipeline-tools');
    const { stdout, status } = spawnSync(
      tool,
      ['--offline', '--persona=auditor', '--format=json', workflowFolder],
      { encoding: 'utf8' },
    );
    expect([status, JSON.parse(stdout)]).toEqual([0, []]);
  });
});
