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
])('does not link to %s of the checkout', (name) => {
  expect(isSource(name)).toBe(false);
});

it('links to the sources, keeps what it writes to itself, and removes it', async ({ skip }) => {
  skip(missing !== undefined, missing);
  const project = await Project.open();
  const checkout = path.join(import.meta.dirname, '../..');
  expect(readlinkSync(path.join(project.root, 'main.ts'))).toBe(path.join(checkout, 'main.ts'));
  const folder = await project.stackFolder('development');
  expect(path.relative(project.root, folder)).toBe('cdktf.out/stacks/development');
  // Links are left out; the only file is Terraform's configuration for the provider.
  expect([...(await project.artefacts()).keys()]).toEqual(['.terraformrc']);
  await project.close();
  await expect(readdir(project.root)).rejects.toThrow('ENOENT');
});
