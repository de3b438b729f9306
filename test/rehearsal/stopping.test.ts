/** A rehearsal that ends before its end, in whatever way, leaves nothing running and nothing lying about. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Stage } from '../../rehearsal/stage/stage.ts';
import type { DeployRun } from '../../rehearsal/terraform/deployer.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import type { Line, StopSignals } from '../../rehearsal/terraform/program.ts';
import { processesAbout, tellsProcesses } from '../support/left-behind.ts';

const missing = await whyNoTerraform();
const project = path.join(import.meta.dirname, '../..');

/** Until nothing is left of it, or for ten seconds. */
async function leftOf(folder: string): Promise<string[]> {
  for (let tries = 0; tries < 100 && (processesAbout(folder).length > 0 || existsSync(folder)); tries++)
    await sleep(100);
  return [...processesAbout(folder), ...(existsSync(folder) ? [folder] : [])];
}

describe('a deployment without cdktf that is stopped', () => {
  let stage: Stage;
  let hear: ((line: Line) => void) | undefined;
  beforeEach((context) => context.skip(missing !== undefined, missing));
  beforeAll(async () => {
    if (missing !== undefined) return;
    stage = await Stage.open({ environment: 'development', quick: true, hear: (line) => hear?.(line) });
  });
  afterAll(() => stage?.close());

  /** Stops a run when it says something. */
  async function stopped(
    run: (stop: StopSignals) => Promise<DeployRun>,
    how: keyof StopSignals,
    words: RegExp,
  ): Promise<DeployRun> {
    const stopping = new AbortController();
    let isSaid = false;
    hear = ({ text }) => {
      isSaid ||= words.test(text);
      if (isSaid) stopping.abort();
    };
    const ended = await run({ [how]: stopping.signal });
    hear = undefined;
    expect(isSaid, ended.output.slice(-800)).toBe(true);
    hasEnded(ended);
    return ended;
  }
  function hasEnded({ exitCode }: DeployRun): void {
    if (tellsProcesses) expect(processesAbout(stage.project.root)).toEqual([]);
    expect(exitCode).not.toBe(0);
  }
  const phase = (run: DeployRun) => run.phases.at(-1)?.name;
  const deploy = (stop: StopSignals) => stage.deploy(stop);

  it('starts nothing when it was stopped before', async () => {
    const run = await stage.deploy({ interrupt: AbortSignal.abort() });
    expect(run).toMatchObject({ exitCode: 130, phases: [], output: '' });
  });

  it('ends in the initialisation, which the next deployment does again', async () => {
    const run = await stopped(deploy, 'interrupt', /Initializing/);
    expect(phase(run)).toBe('initialisation');
  });

  it('ends in the plan', async () => {
    // A plan of nothing deployed is over within a second: what it asks Azure first is held until it has heard.
    const stopping = new AbortController();
    stage.intercept = async () => {
      stopping.abort();
      await sleep(2000);
      return undefined;
    };
    const run = await stage.deploy({ interrupt: stopping.signal });
    stage.intercept = undefined;
    hasEnded(run);
    expect(run.phases.map(({ name }) => name).slice(-2)).toEqual(['initialisation', 'plan']);
    expect(run.output).toContain('Interrupt received');
    expect(stage.azure.operations).toEqual([]);
  });

  it('ends in the apply, and leaves no provider when Terraform is killed', async () => {
    expect(phase(await stopped(deploy, 'kill', /: Creating\.\.\./))).toBe('apply');
  });

  it('ends in the destruction', async () => {
    const run = await stopped((stop) => stage.destroy(stop), 'interrupt', /"type":"version"/);
    expect(phase(run)).toBe('destroy');
    expect(run.output).toContain('Interrupt received');
  });
});

describe('a rehearsal that is killed', () => {
  it('takes with it what it has started, also what has a group of its own, and its folder', async ({
    skip,
  }) => {
    skip(missing !== undefined, missing);
    skip(!tellsProcesses, 'this machine does not tell what its processes have inherited');
    const program = `
      const { Project } = await import('./rehearsal/terraform/project.ts');
      const { runProgram } = await import('./rehearsal/terraform/program.ts');
      const project = await Project.open();
      const parameters = ['-c', 'setsid sleep 600 & echo "$0"; exec sleep 600', project.root];
      await runProgram('/bin/sh', parameters, {
        cwd: project.root,
        environment: project.environment,
        hear: ({ text }) => process.stdout.write(text + '\\n'),
      });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said]: Buffer[] = await once(child.stdout, 'data');
    const folder = `${said}`.trim();
    await expect.poll(() => processesAbout(folder).filter((one) => one.includes('sleep')).length).toBe(2);
    child.kill('SIGKILL');
    expect(await leftOf(folder)).toEqual([]);
  });
});

describe('a rehearsal that is interrupted', () => {
  it('ends what it started, removes everything, and says so', { timeout: 240_000 }, async ({ skip }) => {
    skip(missing !== undefined, missing);
    const child = spawn(
      process.execPath,
      ['commands/llama-db.mjs', 'rehearse', 'development', '--quick', '--verbose'],
      { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    const folders = new Set<string>();
    let interrupted = false;
    const listen = (chunk: Buffer) => {
      said += chunk.toString();
      for (const [folder] of said.matchAll(/\/\S*llama-rehearsal-\w+/g)) folders.add(folder);
      if (interrupted || !/azurerm_resource_group\S* .*: Creating\.\.\.|apply_start/.test(said)) return;
      interrupted = true;
      child.kill('SIGINT');
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    const [status] = await once(child, 'close');
    expect(said).toContain('Interrupted: ');
    expect(status).toBe(130);
    expect(interrupted).toBe(true);
    for (const folder of folders) {
      expect(existsSync(folder)).toBe(false);
      if (tellsProcesses) expect(processesAbout(folder)).toEqual([]);
    }
  });
});
