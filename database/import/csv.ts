/** Reads the CSV that COPY writes. */
import { createReadStream } from 'node:fs';
import { Fault } from '../../core/fault.ts';

export interface CsvRecord {
  /** An empty field without quotes is NULL, as COPY writes it. */
  readonly values: readonly (string | null)[];
  /** Number of its first line. */
  readonly line: number;
  /** Bytes of the file up to and including the block that it ends in. */
  readonly position: number;
}

type State = 'start' | 'plain' | 'quoted' | 'closed';

/** @throws Fault if a quote is not closed or stands inside an unquoted field */
export async function* readCsv(file: string): AsyncGenerator<CsvRecord> {
  let values: (string | null)[] = [];
  let field = '';
  let state = 'start' as State;
  let line = 1;
  let first = 1;
  let position = 0;
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const malformed = (why: string) =>
    new Fault(
      'import/dump-malformed',
      `${file}, line ${line}, is not CSV as COPY writes it`,
      why,
      'Write the dump again (docs/importing.md). A file that ends early was not written completely.',
    );
  const endField = () => {
    values.push(state === 'start' ? null : field);
    field = '';
    state = 'start';
  };
  for await (const block of stream) {
    position += block.length;
    let text: string;
    try {
      text = decoder.decode(block, { stream: true });
    } catch (error) {
      throw Object.assign(malformed('it contains bytes that are not UTF-8'), { cause: error });
    }
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      const char = text[at];
      if (state === 'quoted') {
        if (char === '\n') line += 1;
        if (char !== '"') continue;
        field += text.slice(from, at);
        state = 'closed';
      } else if (char === '"') {
        if (state === 'plain') throw malformed('a quote stands inside a field without quotes');
        if (state === 'closed') field += '"';
        state = 'quoted';
        from = at + 1;
      } else if (char === ',' || char === '\n' || char === '\r') {
        if (state === 'plain') field += text.slice(from, at);
        if (char === '\r') {
          // The line break that follows ends the record.
          if (state === 'plain') state = field === '' ? 'start' : 'closed';
          continue;
        }
        endField();
        if (char === ',') continue;
        yield { values, line: first, position };
        values = [];
        line += 1;
        first = line;
      } else if (state === 'start') {
        state = 'plain';
        from = at;
      } else if (state === 'closed') {
        throw malformed('text follows a closing quote');
      }
    }
    if (state === 'plain' || state === 'quoted') field += text.slice(from);
  }
  if (state === 'quoted') throw malformed('a quoted field does not end');
  if (values.length > 0 || state !== 'start') {
    endField();
    yield { values, line: first, position };
  }
}
