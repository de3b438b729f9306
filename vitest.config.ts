import { defineConfig } from 'vitest/config';
import LongestFirst from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/cluster.ts'],
    reporters: ['default', './test/support/skipped.ts'],
    // Processes, not threads: synthesis changes the working directory and the environment.
    pool: 'forks',
    // Two processors, and tests that often wait for a program or a limit of time.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Tests that start servers or programs of their own are slow on a busy machine, none is slower than this.
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
