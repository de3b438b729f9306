import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, LocalBackend, TerraformStack } from 'cdktf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostDeployStep } from '../../constructs/post-deploy-step.ts';
import { terraform, whyNoTerraform } from '../support/terraform.ts';
import { expression, synthesize } from './synthesized.ts';

const missing = await whyNoTerraform();

describe('PostDeployStep', () => {
  it('is a built-in resource, and its synthesis needs no Terraform', () => {
    const { PATH: path } = process.env;
    process.env['PATH'] = '';
    try {
      const stack = synthesize((inner) => {
        new PostDeployStep(inner, 'post_deploy', {
          command: 'true',
          workingDirectory: '../../..',
          variable: 'DOCUMENT',
          document: { host: 'a' },
          triggers: { list: ['a'] },
          after: [],
        });
      });
      expect(stack.resource('terraform_data')).toMatchObject({
        triggers_replace: { settings: { host: 'a' }, list: ['a'] },
        provisioner: [
          {
            'local-exec': {
              command: 'true',
              working_dir: '../../..',
              environment: { DOCUMENT: expression('jsonencode(self.triggers_replace.settings)') },
            },
          },
        ],
      });
    } finally {
      process.env['PATH'] = path;
    }
  });
});

describe('the command, run by Terraform', () => {
  const document = {
    host: 'llama-mapper.postgres.database.azure.com',
    version: 17,
    extensions: ['pgcrypto', 'uuid-ossp'],
    parameters: { search_path: '"$user", public', log_line_prefix: '%t [%p] \\ \n é <&>' },
  };
  // Counts its runs, keeps its input, and fails as long as a file says so.
  const command = `node -e "
    const fs = require('fs');
    fs.appendFileSync('runs', '.');
    fs.writeFileSync('document.json', process.env.DOCUMENT);
    process.exit(fs.existsSync('fail') ? 1 : 0)"`.replaceAll('\n', ' ');
  let project: string;
  const stackFolder = () => join(project, 'cdktf.out/stacks/test');
  const runs = () =>
    existsSync(join(project, 'runs')) ? readFileSync(join(project, 'runs'), 'utf8').length : 0;

  async function deploy(content: object, migrations: Record<string, string>): Promise<void> {
    const app = new App({ stackTraces: false, outdir: join(project, 'cdktf.out') });
    const stack = new TerraformStack(app, 'test');
    new LocalBackend(stack, { path: 'terraform.tfstate' });
    new PostDeployStep(stack, 'post_deploy', {
      command,
      workingDirectory: '../../..',
      variable: 'DOCUMENT',
      document: content,
      triggers: { migrations },
      after: [],
    });
    app.synth();
    await terraform(stackFolder(), 'init', '-input=false', '-no-color');
    await terraform(stackFolder(), 'apply', '-auto-approve', '-input=false', '-no-color');
  }

  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'llama-step-'));
  });
  afterAll(() => rmSync(project, { recursive: true }));

  it("gets the document unchanged, in the project's folder, and runs again only after a change", async (context) => {
    context.skip(missing !== undefined, missing);
    await deploy(document, { '0001.sql': 'a' });
    expect(JSON.parse(readFileSync(join(project, 'document.json'), 'utf8'))).toEqual(document);
    expect(runs()).toBe(1);

    await deploy(document, { '0001.sql': 'a' });
    expect(runs()).toBe(1);

    await deploy(document, { '0001.sql': 'a', '0002.sql': 'b' });
    expect(runs()).toBe(2);

    await deploy({ ...document, version: 18 }, { '0001.sql': 'a', '0002.sql': 'b' });
    expect(runs()).toBe(3);
  }, 60_000);

  it('fails the deployment if it fails, and runs again with the next one', async (context) => {
    context.skip(missing !== undefined, missing);
    const before = runs();
    writeFileSync(join(project, 'fail'), '');
    await expect(deploy({ ...document, version: 16 }, {})).rejects.toThrow(/local-exec provisioner error/);
    rmSync(join(project, 'fail'));
    await deploy({ ...document, version: 16 }, {});
    expect(runs()).toBe(before + 2);
  }, 60_000);
});
