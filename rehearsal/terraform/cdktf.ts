/** The cdktf command line, read by what it prints. */
import { runProgram, type StopSignals } from '../../local/processes/program.ts';
import { readCdktf } from './cdktf-output.ts';
import type { Synthesis } from './changed-stack.ts';
import type { Deployer, DeployerOptions, DeployRun, Difference } from './deployer.ts';
import { findCdktf } from './installation.ts';
import { parallelism } from './stack.ts';
import { appFor } from './synthesis.ts';

const unattended = ['--auto-approve', `--terraform-parallelism=${parallelism}`];

export class CdktfDeployer implements Deployer {
  readonly kind = 'cdktf';
  readonly #options: DeployerOptions;

  constructor(options: DeployerOptions) {
    this.#options = options;
  }

  deploy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#run('deploy', [...unattended, '--skip-provider-lock'], synthesis, stop);
  }

  diff(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<Difference> {
    return this.#run('diff', ['--skip-provider-lock'], synthesis, stop);
  }

  destroy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#run('destroy', unattended, synthesis, stop);
  }

  async #run(
    verb: string,
    parameters: readonly string[],
    synthesis: Synthesis | undefined,
    stop: StopSignals | undefined,
  ): Promise<Difference> {
    const { project, name, environment, onOutput } = this.#options;
    const cdktf = findCdktf();
    const app = ['node', ...(await appFor(project, synthesis))].join(' ');
    const ended = await runProgram(
      process.execPath,
      ['program' in cdktf ? cdktf.program : 'cdktf', verb, name, '--app', app, '--no-color', ...parameters],
      {
        cwd: project.root,
        // Without CI, cdktf redraws its progress twelve times per second.
        environment: { ...project.environment, ...environment, CI: '1' },
        onOutput,
        ...stop,
      },
    );
    return { ...ended, ...readCdktf(ended, name, verb), command: `cdktf ${verb} ${name}` };
  }
}
