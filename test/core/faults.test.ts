import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FaultSite, readFaults, unreadable } from './fault-codes.ts';

const sites = readFaults();

describe('the faults of the project', () => {
  it('are read from the sources', () => {
    expect(sites.length).toBeGreaterThan(150);
    expect(sites).toContainEqual({
      code: 'lock/held-by-another',
      file: 'database/migrator/lock.ts',
      what: 'Another run works on {target}',
      why: '{holder}; waited {duration}',
      remedy: expect.stringContaining('--lock-wait'),
    });
  });

  it('have names, not numbers', () => {
    expect(sites.filter(({ code }) => /\/\d+$/.test(code))).toEqual([]);
  });

  it('have codes that can be read from the sources', () => {
    expect(sites.filter(({ code }) => code === unreadable)).toEqual([]);
  });

  it('have one kind of message per code', () => {
    expect(ambiguous(sites)).toEqual([]);
  });
});

/** Codes whose places differ in what failed, apart from values. Places without a text of their own are left out. */
function ambiguous(found: readonly FaultSite[]): string[] {
  const kinds = new Map<string, Set<string>>();
  for (const { code, what } of found) {
    // The code of an EncryptionError names the problem, its message the operation that failed.
    if (code.startsWith('encryption/')) continue;
    const kind = what?.replace(/\{[^}]*\}(:?\{[^}]*\})*/g, '…');
    if (kind === undefined || kind === '…') continue;
    kinds.set(code, (kinds.get(code) ?? new Set()).add(kind));
  }
  return [...kinds].flatMap(([code, whats]) =>
    whats.size > 1 ? [`${code}: ${[...whats].join(' | ')}`] : [],
  );
}

describe('reading the faults of a file', () => {
  const read = (text: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'llama-db-faults-'));
    try {
      const file = join(folder, 'a.ts');
      writeFileSync(file, text);
      return readFaults([file]).map(({ code, what, why, remedy }) => ({ code, what, why, remedy }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  it('finds faults that are made in place, with the names of their values', () => {
    const text = `throw new Fault('a/b', \`File \${path} of \${about.target}\`, messageOf(error), 'Do ' + \`it \${names(x)}\`);`;
    expect(read(text)).toEqual([
      { code: 'a/b', what: 'File {path} of {target}', why: '{messageOf}', remedy: 'Do it {names}' },
    ]);
  });

  it('finds both codes of an alternative, each with its text', () => {
    expect(read("new Fault(x ? 'a/one' : 'a/two', 'What', x ? 'first' : 'second', 'Do it.');")).toEqual([
      { code: 'a/one', what: 'What', why: 'first', remedy: 'Do it.' },
      { code: 'a/two', what: 'What', why: 'second', remedy: 'Do it.' },
    ]);
  });

  it('finds faults that a function of the file makes', () => {
    const text = `const refuse = (code: FaultCode, why: string) => new Fault(code, 'What', why, 'Do it.');
      throw refuse('a/b', 'because');`;
    expect(read(text)).toEqual([{ code: 'a/b', what: 'What', why: 'because', remedy: 'Do it.' }]);
  });

  it('finds faults in tables', () => {
    const text =
      "import { Fault, type FaultCode } from './fault.ts';\nconst all = [['a/b', 'What', 'why', 'Do it.']];";
    expect(read(text)).toEqual([{ code: 'a/b', what: 'What', why: 'why', remedy: 'Do it.' }]);
  });

  it('reports a code that cannot be read', () => {
    expect(read("new Fault(codes[0], 'What', 'why', 'Do it.');")).toMatchObject([{ code: unreadable }]);
    expect(read("new Fault(error.code, 'What', 'why', 'Do it.');")).toEqual([]);
  });

  it('leaves out the text of another fault', () => {
    expect(read("new Fault('a/b', error.what, error.why, error.remedy);")).toEqual([
      { code: 'a/b', what: undefined, why: undefined, remedy: undefined },
    ]);
  });

  it('recognizes one code with two kinds of message', () => {
    const site = { file: 'a.ts', why: 'why', remedy: 'Do it.' };
    expect(
      ambiguous([
        { ...site, code: 'a/b', what: '{host}:{port} is a pooler' },
        { ...site, code: 'a/b', what: '{target} is a pooler' },
        { ...site, code: 'a/c', what: 'File {path}' },
        { ...site, code: 'a/c', what: 'Folder {path}' },
      ]),
    ).toEqual(['a/c: File … | Folder …']);
  });
});
