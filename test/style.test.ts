/** The gate of docs/style.md: words and forms that the project does not use. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** The right column of the vocabulary in docs/style.md, as patterns. */
const words: Readonly<Record<string, RegExp>> = {
  'mend (write: repair, correct, remedy)': /\bmend(?:s|ed|ing)?\b/i,
  'instead as a field (write: remedy)': /\binstead\??:/,
  'whoever (write: anyone who, the caller)': /\bwhoever\b/i,
  'is none (write: does not exist, is not a …)': /\bthat is none\b|\bis none of\b/i,
  'tell, told (write: report, print, log, say)': /\b(?:tells?|told)\b/i,
  "'s to say (write: … reports it)": /'s to say\b/i,
  'looksAt (write: inspects)': /\blooksAt\b/,
  'scenery (write: testbed)': /\bscenery\b/i,
  'interruptions (write: fault injection)': /\binterruptions\b/i,
  'honesty (write: refusals)': /\bhonesty\b/i,
  'strangers (write: unknown properties)': /\bstrangers\b/i,
  'patience (write: timeout)': /\bpatience\b/i,
  'curly quotes (write: straight ones)': /[\u2018\u2019\u201c\u201d]/,
};

const sentence = /(?:^|[.!?]["')`]?\s)(?:What|That|Whoever)\s/;

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
});
const files = listed
  .split('\n')
  .filter((file) => /\.(?:ts|mjs|sql|md)$/.test(file))
  // These two files name the words.
  .filter((file) => !['docs/style.md', 'test/style.test.ts'].includes(file));

/** The prose of a file: paragraphs of comments, or of a document without its code. Each keeps its line number. */
function prose(file: string, text: string): readonly (readonly [line: number, paragraph: string])[] {
  if (file.endsWith('.md'))
    return paragraphs(text.replace(/^```[\s\S]*?^```/gm, blank), /^(?:#+|[>|*-]|\d+\.)\s*/);
  const comment = file.endsWith('.sql') ? /^\s*--\s?/ : /^\s*(?:\/\*\*?|\*\/?|\/\/)\s?/;
  const inside = text
    .split('\n')
    .map((line) => {
      if (!comment.test(line)) return '';
      const words = line.replace(comment, '').replace(/\s*\*\/\s*$/, '');
      return /^\s*\/\*\*/.test(line) || words.startsWith('@') ? `# ${words}` : words;
    })
    .join('\n');
  return paragraphs(inside, /^#\s*/);
}

function paragraphs(text: string, start: RegExp): (readonly [number, string])[] {
  const found: [number, string][] = [];
  let isOpen = false;
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    const last = found.at(-1);
    if (trimmed === '') isOpen = false;
    else if (isOpen && last && !start.test(trimmed)) last[1] += ` ${trimmed}`;
    else {
      for (const cell of trimmed.replace(start, '').split(/\s\|\s/)) found.push([index + 1, cell.trim()]);
      isOpen = true;
    }
  }
  return found;
}

function blank(block: string): string {
  return block.replace(/[^\n]/g, '');
}

function violations(file: string, text: string): string[] {
  const lines = text.split('\n');
  const used = Object.entries(words).flatMap(([name, pattern]) =>
    lines.flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${name}`] : [])),
  );
  const begun = prose(file, text).flatMap(([line, paragraph]) => {
    const match = sentence.exec(paragraph);
    return match
      ? [`${file}:${line} a sentence begins with "${match[0].trim()}": ${paragraph.slice(0, 60)}`]
      : [];
  });
  return [...used, ...begun];
}

describe('the style of docs/style.md', () => {
  it('is kept by every file', () => {
    expect(files.length).toBeGreaterThan(500);
    expect(files.flatMap((file) => violations(file, readFileSync(file, 'utf8')))).toEqual([]);
  });

  it.each([
    ['a word', 'a.ts', "const text = 'Mend what is named.';", 'mend'],
    ['a field', 'a.ts', "{ id: 'X', instead: 'Use Y.' }", 'instead as a field'],
    ['a curly quote', 'a.md', 'the server\u2019s port', 'curly quotes'],
    [
      'a sentence in a docstring',
      'a.ts',
      '/**\n * Reads it. What is there\n * stays.\n */',
      'a sentence begins',
    ],
    ['a docstring of one line', 'a.ts', '/** What a command prints. */', 'a sentence begins'],
    ['a description of a tag', 'a.ts', ' * @returns it.\n * That is all.', 'a sentence begins'],
    ['a sentence in a line comment', 'a.ts', '  // That is why.', 'a sentence begins'],
    ['a sentence in SQL', 'a.sql', '-- Whoever asks gets nothing.', 'a sentence begins'],
    ['a heading', 'a.md', '## What it needs', 'a sentence begins'],
    ['a cell', 'a.md', '| option | What it does |', 'a sentence begins'],
  ])('is violated by %s', (_, file, text, violation) => {
    expect(violations(file, text).join()).toContain(violation);
  });

  it.each([
    ['a.ts', "// The server's log says that it has ended, whatever the reason.\nconst What = 1;"],
    ['a.md', 'It does what is needed.\n\n```\nWhat is code\n```\n'],
    ['a.sql', 'SELECT 1; -- a remedy\n'],
  ])('permits ordinary text (%s)', (file, text) => {
    expect(violations(file, text)).toEqual([]);
  });
});
