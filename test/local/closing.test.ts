/** What runs beside each other is ended beside each other: a failing end leaves nothing else running. */
import { describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { closeAll, ending, NotEnded, type Part } from '../../local/closing.ts';

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

describe('the end of several parts', () => {
  it('ends the others when one fails, and waits for them', async () => {
    const { parts: all, ended } = parts('the first');
    await expect(closeAll(all)).rejects.toThrow(
      'Not everything could be ended: the first: the first: the first hangs.',
    );
    expect(ended).toEqual(['the second', 'the third']);
  });

  it('names each that failed, those inside of a part as well', async () => {
    const inner: Part = { name: 'a stage', close: () => closeAll(parts('the second', 'the third').parts) };
    const failure = await closeAll([inner, ...parts('the first').parts]).catch((error) => error);
    expect(failure).toBeInstanceOf(NotEnded);
    expect(failure.what).toBe('Not everything could be ended: the second, the third, the first');
    expect(failure.cause.errors).toHaveLength(3);
  });

  it('does not wait for a part that throws before it has a promise', async () => {
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

describe('work that ends what it used', () => {
  it('gives its result, with everything ended', async () => {
    const { parts: all, ended } = parts();
    await expect(
      ending(
        async () => 'done',
        () => all,
      ),
    ).resolves.toBe('done');
    expect(ended).toHaveLength(3);
  });

  it('throws what the work threw', async () => {
    const { parts: all, ended } = parts();
    const failure = new Fault('closing/1', 'It fails', 'because', 'Mend it.', { exitCode: 3 });
    await expect(
      ending(
        () => Promise.reject(failure),
        () => all,
      ),
    ).rejects.toBe(failure);
    expect(ended).toHaveLength(3);
  });

  it('says both when the work failed and something did not end', async () => {
    const { parts: all, ended } = parts('the third');
    const work = () =>
      Promise.reject(new Fault('closing/2', 'It fails', 'because', 'Mend it.', { exitCode: 3 }));
    const failure = await ending(work, () => all).catch((error) => error);
    expect(failure.message).toMatch(
      /^It fails: because\. Mend it\. Not everything could be ended: the third \(/,
    );
    expect(failure.message).not.toContain('\n');
    expect(failure.exitCode).toBe(3);
    expect(ended).toEqual(['the first', 'the second']);
  });

  it('fails when the work did not and something did not end', async () => {
    await expect(
      ending(
        async () => 'done',
        () => parts('the second').parts,
      ),
    ).rejects.toThrow(NotEnded);
  });
});
