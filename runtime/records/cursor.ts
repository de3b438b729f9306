/** Places in a list of rows that is ordered by time and id, newest first. */
import { RecordError } from './error.ts';
import { uuidForm } from './fields.ts';
import { Timestamp } from './timestamp.ts';

/** An opaque text. It stays valid while rows are inserted and deleted. */
export type Cursor = string;

export interface Place {
  readonly timestamp: string;
  readonly id: string;
}

/** One page of a list. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  /** For the option `after` of the next call; undefined at the end. */
  readonly next: Cursor | undefined;
}

export function cursorOf({ timestamp, id }: { readonly timestamp: Timestamp; readonly id: string }): Cursor {
  return Buffer.from(`${timestamp.toISOString()} ${id}`).toString('base64url');
}

/** @throws RecordError `record/not-a-cursor` */
export function placeOf(cursor: Cursor): Place {
  const [timestamp = '', id = '', ...others] = Buffer.from(String(cursor), 'base64url').toString().split(' ');
  if (others.length === 0 && Timestamp.from(timestamp) && uuidForm.test(id)) return { timestamp, id };
  throw new RecordError(
    'record/not-a-cursor',
    'The list cannot be continued',
    'after is not the next of an earlier page',
    'Pass next unchanged, or leave after out to begin again.',
  );
}

export interface PageOptions {
  /** Earliest time, inclusive. @default - no limit */
  readonly since?: Date | string;
  /** Latest time, exclusive. @default - no limit */
  readonly until?: Date | string;
  /** Rows of a page, 1 to 1000. @default 100 */
  readonly limit?: number;
  /** `next` of the page before. @default - begins with the newest row */
  readonly after?: Cursor;
}
