/** The cdktf command line, read by what it prints. */
import { runProgram, type StopSignals } from '../../local/processes/program.ts';
import { readCdktf } from './cdktf-output.ts';
import type { Synthesis } from './changed-stack.ts';
import type { Deployer, DeployerOptions, DeployRun, Difference } from './deployer.ts';
import { findCdktf } from './installation.ts';
import { parallelism, TerraformStack } from './stack.ts';
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
    const read = readCdktf(ended, name, verb);
    const command = `cdktf ${verb} ${name}`;
    if (ended.exitCode === 0 || read.quotesTerraform || read.resources.length > 0)
      return { ...ended, ...read, command };
    // cdktf ends before it has printed all that Terraform wrote. A plan that was refused changed nothing, so that another
    // one gives the reason.
    const stack = await TerraformStack.in(project, name, environment);
    const { diagnostics } = stack.isInitialised ? await stack.plan(stop) : { diagnostics: [] };
    return { ...ended, ...read, ...(diagnostics.length > 0 && { diagnostics }), command };
  }
}
