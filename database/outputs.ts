/** Reads the deployment document from the Terraform output `deployment` of a stack, after an apply has ended. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Fault } from '../core/fault.ts';
import { at, parseJson } from '../core/json.ts';
import { runTerraform } from '../core/terraform.ts';

const couldNotRead = { exitCode: 2 };
const alternative = 'or give --url instead of an environment';

export interface OutputOptions {
  readonly projectDirectory: string;
  /** Folder of the synthesized stacks (CDKTF_OUTDIR), absolute or relative to the project. @default 'cdktf.out' */
  readonly output?: string | undefined;
  /** @default 'terraform' - found on the PATH */
  readonly program?: string;
}

/**
 * Reads the output `deployment` of an environment's stack.
 *
 * @throws Fault (exit 2) if stack, program or output are missing
 */
export async function readDeploymentOutput(environment: string, options: OutputOptions): Promise<unknown> {
  const { projectDirectory, output: folder = 'cdktf.out', program = 'terraform' } = options;
  const stack = join(folder, 'stacks', environment);
  const directory = resolve(projectDirectory, stack);
  if (!existsSync(join(directory, 'cdk.tf.json'))) {
    throw new Fault(
      'outputs/not-synthesized',
      `${stack} contains no stack`,
      `environment ${environment} is not synthesized here, and its stack names the Terraform state`,
      `Run npm run synth and terraform -chdir=${stack} init, ${alternative}.`,
      couldNotRead,
    );
  }
  const parameters = ['output', '-json', '-no-color'];
  const printed = await runTerraform({
    directory,
    parameters,
    purpose: 'read the outputs',
    program,
    alternative,
  });
  const value = at(parse(printed), 'deployment', 'value');
  if (value === undefined) {
    throw new Fault(
      'outputs/none',
      `Environment ${environment} has no output deployment`,
      'its state is empty, or an older version of this project wrote it',
      `Deploy it first: cdktf deploy ${environment}.`,
      couldNotRead,
    );
  }
  return typeof value === 'string' ? parse(value) : value;
}

function parse(text: string) {
  const parsed = parseJson(text);
  if (parsed !== undefined) return parsed;
  throw new Fault(
    'outputs/not-json',
    'The Terraform outputs are not JSON',
    'terraform output -json printed other text',
    'Run terraform output -json in the stack by hand and compare.',
    couldNotRead,
  );
}
