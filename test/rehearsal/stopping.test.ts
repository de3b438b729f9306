/** A rehearsal that is stopped, in any way, leaves no process and no file. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Line, StopSignals } from '../../local/processes/program.ts';
import { Sandbox } from '../../rehearsal/sandbox/sandbox.ts';
import type { DeployRun } from '../../rehearsal/terraform/deployer.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { processesAbout, showsProcesses } from '../support/left-behind.ts';
import { ownNearest } from '../support/own.ts';

const small = ownNearest('noReplica', 'unprotected');
const missing = await whyNoTerraform();
const project = path.join(import.meta.dirname, '../..');

/** The processes of a folder, and the folder, that are left after at most ten seconds. */
async function leftOf(folder: string): Promise<string[]> {
  for (let tries = 0; tries < 100 && (processesAbout(folder).length > 0 || existsSync(folder)); tries++)
    await sleep(100);
  return [...processesAbout(folder), ...(existsSync(folder) ? [folder] : [])];
}

describe('a deployment without cdktf that is stopped', () => {
  let sandbox: Sandbox;
  let onOutput: ((line: Line) => void) | undefined;
  beforeEach((context) => context.skip(missing !== undefined, missing));
  beforeAll(async () => {
    if (missing !== undefined) return;
    sandbox = await Sandbox.open({
      environment: small,
      quick: true,
      onOutput: (line) => onOutput?.(line),
    });
  });
  afterAll(() => sandbox?.close());

  /** Stops a run as soon as its output matches. */
  async function stopped(
    run: (stop: StopSignals) => Promise<DeployRun>,
    how: keyof StopSignals,
    output: RegExp,
  ): Promise<DeployRun> {
    const stopping = new AbortController();
    let hasMatched = false;
    onOutput = ({ text }) => {
      hasMatched ||= output.test(text);
      if (hasMatched) stopping.abort();
    };
    const ended = await run({ [how]: stopping.signal });
    onOutput = undefined;
    expect(hasMatched, ended.output.slice(-800)).toBe(true);
    hasEnded(ended);
    return ended;
  }
  function hasEnded({ exitCode }: DeployRun): void {
    if (showsProcesses) expect(processesAbout(sandbox.project.root)).toEqual([]);
    expect(exitCode).not.toBe(0);
  }
  const phase = (run: DeployRun) => run.phases.at(-1)?.name;
  const deploy = (stop: StopSignals) => sandbox.deploy(stop);

  it('starts nothing if it was stopped before', async () => {
    const run = await sandbox.deploy({ interrupt: AbortSignal.abort() });
    expect(run).toMatchObject({ exitCode: 130, phases: [], output: '' });
  });

  it('ends in the initialisation, which the next deployment repeats', async () => {
    const run = await stopped(deploy, 'interrupt', /Initializing/);
    expect(phase(run)).toBe('initialisation');
  });

  it('ends in the plan', async () => {
    // A plan of an empty environment takes less than a second, so its first request is held back until the signal.
    const stopping = new AbortController();
    sandbox.intercept = async () => {
      stopping.abort();
      await sleep(2000);
      return undefined;
    };
    const run = await sandbox.deploy({ interrupt: stopping.signal });
    sandbox.intercept = undefined;
    hasEnded(run);
    expect(run.phases.map(({ name }) => name).slice(-2)).toEqual(['initialisation', 'plan']);
    expect(run.output).toContain('Interrupt received');
    expect(sandbox.azure.operations).toEqual([]);
  });

  it('ends in the apply, and a killed Terraform leaves no provider', async () => {
    expect(phase(await stopped(deploy, 'kill', /: Creating\.\.\./))).toBe('apply');
  });

  it('ends in the destruction', async () => {
    const run = await stopped((stop) => sandbox.destroy(stop), 'interrupt', /"type":"version"/);
    expect(phase(run)).toBe('destroy');
    expect(run.output).toContain('Interrupt received');
  });
});

describe('a rehearsal that is killed', () => {
  it('ends its processes, including those in other process groups, and removes its folder', async ({
    skip,
  }) => {
    skip(missing !== undefined, missing);
    skip(!showsProcesses, 'this machine does not show the environment of processes');
    const program = `
      const { Project } = await import('./rehearsal/terraform/project.ts');
      const { runProgram } = await import('./local/processes/program.ts');
      const project = await Project.open();
      const parameters = ['-c', 'setsid sleep 600 & echo "$0"; exec sleep 600', project.root];
      await runProgram('/bin/sh', parameters, {
        cwd: project.root,
        environment: project.environment,
        onOutput: ({ text }) => process.stdout.write(text + '\\n'),
      });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [printed]: Buffer[] = await once(child.stdout, 'data');
    const folder = `${printed}`.trim();
    await expect.poll(() => processesAbout(folder).filter((one) => one.includes('sleep')).length).toBe(2);
    child.kill('SIGKILL');
    expect(await leftOf(folder)).toEqual([]);
  });
});

describe('a rehearsal that is interrupted', () => {
  it('ends its processes, removes everything, and reports it', { timeout: 240_000 }, async ({ skip }) => {
    skip(missing !== undefined, missing);
    const child = spawn(
      process.execPath,
      ['commands/llama-db.mjs', 'rehearse', small, '--quick', '--verbose'],
      { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let printed = '';
    const folders = new Set<string>();
    let interrupted = false;
    const listen = (chunk: Buffer) => {
      printed += chunk.toString();
      for (const [folder] of printed.matchAll(/\/\S*llama-rehearsal-\w+/g)) folders.add(folder);
      if (interrupted || !/azurerm_resource_group\S* .*: Creating\.\.\.|apply_start/.test(printed)) return;
      interrupted = true;
      child.kill('SIGINT');
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    const [status] = await once(child, 'close');
    expect(printed).toContain('Interrupted: ');
    expect(status).toBe(130);
    expect(interrupted).toBe(true);
    for (const folder of folders) {
      expect(existsSync(folder)).toBe(false);
      if (showsProcesses) expect(processesAbout(folder)).toEqual([]);
    }
  });
});
