import { describe, expect, it } from 'vitest';
import { redraws } from '../../rehearsal/terminal.ts';
import { ownNearest } from '../support/own.ts';
import { run } from './run.ts';

describe('the command line', () => {
  it('prints its version', async () => {
    expect(await run(['--version'])).toMatchObject({ code: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it.each([
    ['prod', 'Did you mean production?'],
    ['Stagin', 'Did you mean staging?'],
    ['dev', 'Did you mean development?'],
    ['elsewhere', 'Name one of them.'],
  ])('answers environment %s with: %s', async (name, remedy) => {
    const { code, stderr } = await run(['verify', name]);
    expect(stderr).toContain(`${remedy} [environment/unknown]\n`);
    expect(code).toBe(2);
  });

  it.each([
    [{ isTTY: true }, {}, true],
    [{ isTTY: true }, { CI: 'true' }, false],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
    [{ isTTY: false }, {}, false],
    [{}, {}, false],
  ])('redraws lines on %j with %j: %s', (stream, environment, expected) => {
    expect(redraws(stream, environment)).toBe(expected);
  });

  it('prints the result of start as JSON, and its progress on stderr', async () => {
    const { code, stdout, stderr } = await run(['start', ownNearest(), '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      outcome: 'verified',
      stacks: expect.arrayContaining([expect.objectContaining({ name: ownNearest() })]),
      checks: { failed: 0 },
    });
    expect(stderr).toContain('is deployed, verified');
    expect(code).toBe(0);
  }, 120_000);
});
