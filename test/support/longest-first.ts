import { closeSync, openSync, readSync } from 'node:fs';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Starts the longest test files first, so that no worker is idle beside the last one. Vitest knows durations only from
 * earlier runs on the same checkout; in a fresh clone it sorts by file size. A slow file therefore declares its duration
 * on an idle machine in its first line: `// Duration: 405 s`.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const seconds = new Map(files.map((file) => [file, declaredSeconds(file.moduleId)]));
    return (await super.sort(files)).sort(
      (one, other) => (seconds.get(other) ?? 0) - (seconds.get(one) ?? 0),
    );
  }
}

/** The declared duration of a test file; 0 without one. */
export function declaredSeconds(file: string): number {
  const head = Buffer.alloc(64);
  const opened = openSync(file, 'r');
  try {
    readSync(opened, head, 0, head.length, 0);
  } finally {
    closeSync(opened);
  }
  return Number(/^\/\/ Duration: (\d+) s\n/.exec(head.toString())?.[1] ?? 0);
}
