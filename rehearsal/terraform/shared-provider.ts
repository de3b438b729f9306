/**
 * One process of the azurerm provider that serves several runs of Terraform, as a provider in a debugger does:
 * https://developer.hashicorp.com/terraform/plugin/debugging#running-terraform-with-a-provider-in-debug-mode
 *
 * Otherwise each run starts the provider three times: for its schema, to validate and to plan. Those starts take a third of
 * the processor time of a plan.
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../../core/fault.ts';
import { runProgram } from '../../local/processes/program.ts';

export class SharedProvider {
  readonly #stopping = new AbortController();
  /** The value of TF_REATTACH_PROVIDERS, while the process runs. */
  #address: Promise<string> | undefined;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(
    /** The provider reads its credentials from its own environment, not from that of Terraform. */
    readonly environment: Readonly<Record<string, string>>,
  ) {}

  /**
   * Variables with which Terraform uses the process; starts it unless it runs.
   *
   * @param stack folder in which Terraform has installed the provider
   * @throws Fault if it does not start
   */
  async variables(stack: string): Promise<Readonly<Record<string, string>>> {
    this.#address ??= this.#start(stack);
    return { TF_REATTACH_PROVIDERS: await this.#address };
  }

  async #start(stack: string): Promise<string> {
    const program = await installedIn(stack);
    return new Promise((resolve, reject) => {
      this.#ended = runProgram(program, ['-debuggable'], {
        cwd: stack,
        // Its socket goes with the scratch project.
        environment: { ...this.environment, PLUGIN_UNIX_SOCKET_DIR: stack },
        kill: this.#stopping.signal,
        onOutput: ({ text }) => {
          const address = /^\s*TF_REATTACH_PROVIDERS='(.+)'$/.exec(text)?.[1];
          if (address !== undefined) resolve(address);
        },
      }).then(({ output }) => {
        this.#address = undefined;
        reject(
          new Fault(
            'rehearsal/provider-not-started',
            'The azurerm provider did not start',
            output.trim() || 'it printed nothing',
            `Check that ${program} runs on this machine.`,
          ),
        );
      }, reject);
    });
  }

  /** Ends the process. */
  async end(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }
}

/** The program that `terraform init` has installed or linked. */
async function installedIn(stack: string): Promise<string> {
  const providers = path.join(stack, '.terraform/providers/registry.terraform.io/hashicorp/azurerm');
  const [version = ''] = await readdir(providers);
  const [platform = ''] = await readdir(path.join(providers, version));
  const folder = path.join(providers, version, platform);
  const program = (await readdir(folder)).find((name) => name.startsWith('terraform-provider-azurerm'));
  return path.join(folder, program ?? '');
}
