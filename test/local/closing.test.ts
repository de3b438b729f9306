/** Parts close in parallel: one that fails to close leaves no other part running. */
import { describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { closeAll, NotClosed, type Part, thenClose } from '../../local/closing.ts';

function parts(...broken: string[]): { readonly parts: Part[]; readonly ended: string[] } {
  const ended: string[] = [];
  const names = ['the first', 'the second', 'the third'];
  return {
    ended,
    parts: names.map((name) => ({
      name,
      close: async () => {
        if (broken.includes(name)) throw new Error(`${name} hangs`);
        await new Promise((resolve) => setTimeout(resolve, 5));
        ended.push(name);
      },
    })),
  };
}

describe('closing several parts', () => {
  it('closes the others if one fails, and waits for them', async () => {
    const { parts: all, ended } = parts('the first');
    await expect(closeAll(all)).rejects.toThrow(
      'These parts did not close: the first: the first: the first hangs.',
    );
    expect(ended).toEqual(['the second', 'the third']);
  });

  it('names each part that failed, including inner parts', async () => {
    const inner: Part = { name: 'a sandbox', close: () => closeAll(parts('the second', 'the third').parts) };
    const failure = await closeAll([inner, ...parts('the first').parts]).catch((error) => error);
    expect(failure).toBeInstanceOf(NotClosed);
    expect(failure.what).toBe('These parts did not close: the second, the third, the first');
    expect(failure.cause.errors).toHaveLength(3);
  });

  it('accepts a part that throws instead of returning a promise', async () => {
    const { parts: all, ended } = parts();
    const thrower: Part = {
      name: 'a thrower',
      close: () => {
        throw new Error('at once');
      },
    };
    await expect(closeAll([thrower, ...all])).rejects.toThrow('a thrower: at once');
    expect(ended).toHaveLength(3);
  });
});

describe('work that closes its parts', () => {
  it('returns its result with all parts closed', async () => {
    const { parts: all, ended } = parts();
    await expect(
      thenClose(
        async () => 'done',
        () => all,
      ),
    ).resolves.toBe('done');
    expect(ended).toHaveLength(3);
  });

  it('throws the error of the work', async () => {
    const { parts: all, ended } = parts();
    const failure = new Fault('test/failed', 'It fails', 'because', 'Repair it.', { exitCode: 3 });
    await expect(
      thenClose(
        () => Promise.reject(failure),
        () => all,
      ),
    ).rejects.toBe(failure);
    expect(ended).toHaveLength(3);
  });

  it('reports both if the work failed and a part did not close', async () => {
    const { parts: all, ended } = parts('the third');
    const work = () =>
      Promise.reject(new Fault('test/failed', 'It fails', 'because', 'Repair it.', { exitCode: 3 }));
    const failure = await thenClose(work, () => all).catch((error) => error);
    expect(failure.message).toMatch(
      /^It fails: because\. Repair it\. These parts did not close: the third \(/,
    );
    expect(failure.message).not.toContain('\n');
    expect(failure.exitCode).toBe(3);
    expect(ended).toEqual(['the first', 'the second']);
  });

  it('fails if only a part did not close', async () => {
    await expect(
      thenClose(
        async () => 'done',
        () => parts('the second').parts,
      ),
    ).rejects.toThrow(NotClosed);
  });
});
