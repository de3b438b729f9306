import { readlinkSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { isSource, Project } from '../../rehearsal/terraform/project.ts';

const missing = await whyNoTerraform();

it.each([
  ...[
    'cdktf.out',
    'development.tfstate',
    'development.tfstate.backup',
    'tmp',
    '.git',
    '.terraform',
    'cdktf.log',
  ],
])('takes no %s of the checkout for its own', (name) => {
  expect(isSource(name)).toBe(false);
});

it('has the sources by links, keeps what it writes to itself, and removes it', async ({ skip }) => {
  skip(missing !== undefined, missing);
  const project = await Project.open();
  const checkout = path.join(import.meta.dirname, '../..');
  expect(readlinkSync(path.join(project.root, 'main.ts'))).toBe(path.join(checkout, 'main.ts'));
  const folder = await project.stackFolder('development');
  expect(path.relative(project.root, folder)).toBe('cdktf.out/stacks/development');
  // Nothing of the sources, which links lead to, and nothing else but how Terraform is told of the provider.
  expect([...(await project.artefacts()).keys()]).toEqual(['.terraformrc']);
  await project.close();
  await expect(readdir(project.root)).rejects.toThrow('ENOENT');
});
