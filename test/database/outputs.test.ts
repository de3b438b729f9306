import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readDeploymentOutput } from '../../database/outputs.ts';

let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'llama-db-outputs-'));
});

afterEach(() => rmSync(project, { recursive: true, force: true }));

function stack(outputs: object): string {
  const directory = join(project, 'cdktf.out/stacks/staging');
  mkdirSync(directory, { recursive: true });
  const backend = { backend: { local: { path: 'terraform.tfstate' } } };
  writeFileSync(join(directory, 'cdk.tf.json'), JSON.stringify({ terraform: backend, output: outputs }));
  return directory;
}

const read = (environment: string, program?: string) =>
  readDeploymentOutput(environment, { projectDirectory: project, ...(program ? { program } : {}) });

describe('the outputs of an environment', () => {
  it('are read from the Terraform state', async (context) => {
    // Terraform fails every call if this variable names a missing file.
    const env: NodeJS.ProcessEnv = { ...process.env, CHECKPOINT_DISABLE: '1' };
    delete env['TF_CLI_CONFIG_FILE'];
    try {
      execFileSync('terraform', ['version'], { env, stdio: 'pipe' });
    } catch {
      context.skip('terraform is not on the PATH');
    }
    delete process.env['TF_CLI_CONFIG_FILE'];
    const document = { environment: 'staging', primary: { host: 'x' } };
    const directory = stack({ deployment: { value: document } });
    execFileSync('terraform', ['init', '-input=false'], { cwd: directory, env, stdio: 'pipe' });
    await expect(read('staging')).rejects.toMatchObject({
      code: 'outputs/none',
      remedy: expect.stringContaining('cdktf deploy staging'),
    });
    execFileSync('terraform', ['apply', '-auto-approve', '-input=false'], {
      cwd: directory,
      env,
      stdio: 'pipe',
    });
    expect(await read('staging')).toEqual(document);
  });

  it('are refused if the stack is not synthesized here', async () => {
    await expect(read('staging')).rejects.toMatchObject({
      code: 'outputs/not-synthesized',
      what: expect.stringMatching(/cdktf\.out.stacks.staging/),
      remedy: expect.stringContaining('npm run synth'),
    });
  });

  it('are read from the folder of the synthesized stacks', async () => {
    stack({});
    const options = { projectDirectory: tmpdir(), program: 'no-such-terraform' };
    await expect(
      readDeploymentOutput('staging', { ...options, output: join(project, 'cdktf.out') }),
    ).rejects.toMatchObject({ code: 'terraform/missing', what: 'no-such-terraform was not found' });
    await expect(readDeploymentOutput('staging', { ...options, output: 'elsewhere' })).rejects.toMatchObject({
      code: 'outputs/not-synthesized',
      what: expect.stringMatching(/elsewhere.stacks.staging/),
    });
  });

  it('are refused if Terraform is missing', async () => {
    stack({});
    await expect(read('staging', 'no-such-terraform')).rejects.toMatchObject({
      code: 'terraform/missing',
      what: expect.stringContaining('no-such-terraform'),
      remedy: expect.stringMatching(/Install.*--url/),
    });
  });

  it("are refused with Terraform's own reason, without its box", async () => {
    stack({});
    const program = join(project, 'terraform');
    const said =
      '\u2577\n\u2502 Error: Backend initialization required\n\u2502 \n\u2502 Reason: new\n\u2575\n';
    writeFileSync(program, `#!/bin/sh\ncat >&2 <<'X'\n${said}X\nexit 1\n`, { mode: 0o755 });
    await expect(read('staging', program)).rejects.toMatchObject({
      code: 'terraform/failed',
      what: expect.stringMatching(/read the outputs in \S+/),
      why: 'Backend initialization required',
      remedy: expect.stringMatching(/Run terraform -chdir=\S+ init .*--url/),
    });
  });
});
