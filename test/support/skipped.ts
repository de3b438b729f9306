import type { Reporter, TestModule, Vitest } from 'vitest/node';

/** Prints every skipped test with its reason at the end of a run, because a silent skip looks like a pass. */
export default class SkippedTests implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    // With -t, all other tests count as skipped.
    if (this.#vitest?.config.testNamePattern) return;
    const lines = modules.flatMap((module) =>
      [...module.children.allTests('skipped')].map((test) => {
        const result = test.result();
        const reason = (result.state === 'skipped' && result.note) || 'no reason given';
        return `  ${module.relativeModuleId}: ${test.fullName}: ${reason}\n`;
      }),
    );
    if (lines.length > 0) process.stdout.write(`\n Skipped, and why:\n${lines.join('')}`);
  }
}
