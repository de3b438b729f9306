/** Writes the files of a new thing from a template: new files, and insertions into existing ones. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../../core/fault.ts';

export interface Insertion {
  /** Path from the project's root. */
  readonly file: string;
  readonly text: string;
  /** Offset in the file. */
  readonly at: number;
}

export interface Scaffold {
  /** Texts of new files, by path from the project's root. */
  readonly files: Readonly<Record<string, string>>;
  readonly insertions: readonly Insertion[];
  /** The steps that remain for the author. */
  readonly next: readonly string[];
}

/** @throws Fault (exit 2) if a file exists already; nothing is written then */
export function write(root: string, { files, insertions }: Scaffold): readonly string[] {
  for (const file of Object.keys(files)) if (existsSync(join(root, file))) throw exists(file);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  for (const { file, text, at } of insertions) {
    const before = readFileSync(join(root, file), 'utf8');
    writeFileSync(join(root, file), before.slice(0, at) + text + before.slice(at));
  }
  return [...Object.keys(files), ...insertions.map(({ file }) => file)];
}

export function exists(what: string): Fault {
  return new Fault(
    'new/exists',
    `${what} exists already`,
    'names are unique and a file is never replaced',
    'Choose another name.',
    { exitCode: 2 },
  );
}

/** A project file that templates read. */
export class Source {
  readonly text: string;

  /** @throws Fault (exit 2) if it does not exist */
  constructor(
    root: string,
    readonly file: string,
    alternatives: readonly string[] = [],
  ) {
    const path = join(root, file);
    if (!existsSync(path))
      throw new Fault(
        'new/no-such-family',
        `There is no ${file}`,
        alternatives.length > 0 ? `known are ${alternatives.join(', ')}` : 'the template extends that file',
        'Name an existing family: <family>/<name>.',
        { exitCode: 2 },
      );
    this.text = readFileSync(path, 'utf8');
  }

  /** An insertion before the last occurrence of a text. @throws Error if the file has changed its form */
  before(marker: string, text: string): Insertion {
    return this.#insertion(this.text.lastIndexOf(marker), marker, text);
  }

  /** An insertion before the first `marker` after the last `row`. @throws Error if the file has changed its form */
  afterRow(row: string, marker: string, text: string): Insertion {
    const last = this.text.lastIndexOf(row);
    return this.#insertion(last < 0 ? -1 : this.text.indexOf(marker, last), `${row} … ${marker}`, text);
  }

  #insertion(at: number, marker: string, text: string): Insertion {
    if (at < 0)
      throw new Error(`${this.file} has no "${marker.trim()}": adapt commands/scaffold/templates.ts`);
    return { file: this.file, text, at };
  }
}
