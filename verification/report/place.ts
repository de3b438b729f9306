import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { Fault } from '../../core/fault.ts';

/**
 * Looks whether a report can be written to a file, before a database is looked at for it; what is there stays as it is.
 *
 * @throws Fault with exit status 2
 */
export function requireWritable(file: string): void {
  try {
    const there = existsSync(file);
    closeSync(openSync(file, 'a'));
    if (!there) rmSync(file);
  } catch (error) {
    throw new Fault(
      'place/1',
      `The report cannot be written to ${file}`,
      error instanceof Error ? error.message : String(error),
      'Name another file, in a folder that exists: --output <file>.',
      { exitCode: 2, cause: error },
    );
  }
}
