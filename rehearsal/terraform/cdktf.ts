/** The cdktf command line, told by what it prints what it did. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Synthesis } from './app.ts';
import { appFor, type Deployer, type DeployerOptions, type DeployRun, type Difference } from './deployer.ts';
import { findCdktf } from './installation.ts';
import { type Ended, runProgram, type StopSignals } from './program.ts';
import { parallelism } from './stack.ts';

export class CdktfDeployer implements Deployer {
  readonly kind = 'cdktf';
  readonly #options: DeployerOptions;

  constructor(options: DeployerOptions) {
    this.#options = options;
  }

  deploy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#run('deploy', ['--auto-approve', ...quick], synthesis, stop);
  }

  async diff(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<Difference> {
    const run = await this.#run('diff', [], synthesis, stop);
    return { ...run, isEmpty: /No changes\. Your infrastructure/.test(run.output), changes: [] };
  }

  destroy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#run('destroy', ['--auto-approve', ...quick], synthesis, stop);
  }

  async #run(
    verb: string,
    parameters: readonly string[],
    synthesis: Synthesis | undefined,
    stop: StopSignals | undefined,
  ): Promise<DeployRun> {
    const { project, name, environment, hear } = this.#options;
    const program = findCdktf() ?? '';
    const node = ['node', ...(await appFor(project, synthesis))].join(' ');
    const ended: Ended = await runProgram(
      process.execPath,
      [program, verb, name, '--app', node, '--no-color', '--skip-provider-lock', ...parameters],
      { cwd: project.root, environment: { ...project.environment, ...environment }, hear, ...stop },
    );
    await rm(path.join(project.root, 'x'), { force: true });
    return { ...ended, command: `cdktf ${verb} ${name}`, diagnostics: [], resources: [], phases: [] };
  }
}

const quick = [`--terraform-parallelism=${parallelism}`];
