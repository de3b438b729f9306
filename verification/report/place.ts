import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { Fault } from '../../core/fault.ts';

/**
 * Checks that a report can be written to a file, before the run. An existing file keeps its content.
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
      'verify/report-not-writable',
      `The report cannot be written to ${file}`,
      error instanceof Error ? error.message : String(error),
      'Name a file in an existing folder: --output <file>.',
      { exitCode: 2, cause: error },
    );
  }
}
