import { describe, expect, it } from 'vitest';
import { benchmarkNamed, benchmarks, limits, median, violations } from '../../benchmarks/benchmark.ts';
import { run } from '../commands/run.ts';

describe('benchmarks', () => {
  it('have limits only for existing benchmarks', async () => {
    const names = (await benchmarks()).map(({ name }) => name);
    expect(Object.keys(await limits()).filter((name) => !names.includes(name))).toEqual([]);
  });

  it('are found by their name, and an unknown name is bad usage', async () => {
    expect((await benchmarkNamed('synthesis')).name).toBe('synthesis');
    await expect(benchmarkNamed('nothing')).rejects.toMatchObject({ code: 'benchmark/unknown', exitCode: 2 });
  });

  it.each([
    ['below its minimum', { ratio: { value: 0.69, unit: '' } }, 'ratio is 0.69, below its minimum of 0.7'],
    ['above its maximum', { ratio: { value: 0.91, unit: '' } }, 'ratio is 0.91, above its maximum of 0.9'],
    ['that is NaN', { ratio: { value: Number.NaN, unit: '' } }, 'ratio is NaN, below its minimum of 0.7'],
    ['that was not measured', {}, 'ratio has a limit but was not measured'],
  ])('violate the limit of a figure %s', (_, figures, line) => {
    const found = violations('audit', { figures }, { audit: { ratio: { min: 0.7, max: 0.9 } } });
    expect(found[0]).toBe(`audit: ${line}`);
  });

  it('respect a limit that a figure equals, and need no limit', () => {
    const figures = { ratio: { value: 0.7, unit: '' }, other: { value: 9000, unit: 's' } };
    expect(violations('audit', { figures }, { audit: { ratio: { min: 0.7, max: 0.7 } } })).toEqual([]);
    expect(violations('other', { figures }, {})).toEqual([]);
  });

  it('take the middle of an odd number of values', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([])).toBeNaN();
  });
});

describe('llama-db bench', () => {
  it('measures one case, with the commit, the server and the machine', { timeout: 120_000 }, async () => {
    const { code, stdout, stderr } = await run(['bench', 'post-deploy', '--rounds', '1', '--json']);
    expect(code, stderr).toBe(0);
    const { results, violations: broken } = JSON.parse(stdout);
    expect(results).toEqual([
      expect.objectContaining({
        name: 'post-deploy',
        rounds: 1,
        commit: expect.stringMatching(/^[0-9a-f]{7,}\+?$/),
        serverVersion: expect.stringMatching(/^1[678]\./),
        cores: expect.any(Number),
        figures: {
          'empty server': { value: expect.any(Number), unit: 's' },
          'nothing to do': { value: expect.any(Number), unit: 's' },
        },
      }),
    ]);
    expect(results[0].figures['empty server'].value).toBeGreaterThan(
      results[0].figures['nothing to do'].value,
    );
    expect(broken).toBeInstanceOf(Array);
  });
});
