/** The file of the rows that the target refused, one JSON object per line. It contains data of tenants. */
import { appendFileSync } from 'node:fs';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import { keyOf, type Refused } from './batch.ts';
import type { Shape } from './tables.ts';

export class Rejects {
  #rows = 0;
  constructor(readonly file: string) {}

  get rows(): number {
    return this.#rows;
  }

  add(shape: Shape, refused: readonly Refused[]): void {
    if (refused.length === 0) return;
    const lines = refused.map(({ row, reason, code }) =>
      JSON.stringify({
        table: shape.table,
        key: keyOf(shape, row),
        ...(row.line === undefined ? {} : { line: row.line }),
        reason,
        ...(code === undefined ? {} : { code }),
        row: Object.fromEntries(shape.columns.map(({ name }, at) => [name, row.values[at] ?? null])),
      }),
    );
    try {
      // Only the operator may read it.
      appendFileSync(this.file, `${lines.join('\n')}\n`, { mode: 0o600 });
    } catch (error) {
      throw new Fault(
        'import/rejects-unwritable',
        `The refused rows cannot be written to ${this.file}`,
        messageOf(error),
        'Name a file in a folder that exists with --rejects <file>, and run the command again: it continues.',
        { cause: error },
      );
    }
    this.#rows += refused.length;
  }
}
