import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('names every skipped test and why at the end of a run', () => {
  const project = join(import.meta.dirname, '../..');
  const program = `
    import { startVitest } from 'vitest/node';
    const run = await startVitest('test', [], {
      config: false, watch: false, root: process.cwd(), include: ['test/support/skipping.fixture.ts'],
      reporters: ['default', './test/support/skipped.ts'],
    });
    await run.close();`;
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: project,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], NO_COLOR: '1' },
  });
  expect(printed).toContain(
    [
      ' Skipped, and why:',
      '  test/support/skipping.fixture.ts: a thing > needs a tool: terraform is not on the PATH',
      '  test/support/skipping.fixture.ts: a thing > was switched off: no reason given',
    ].join('\n'),
  );
  expect(printed).not.toMatch(/Skipped, and why:[\s\S]*is looked at/);
});
