import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Plays every scenario of a rehearsal, and mostly waits. */
const longest = 'test/rehearsal/scenarios.test.ts';

/**
 * Begins with the file that takes longest. Vitest orders by size where it has measured nothing yet, as in every fresh
 * clone: the file came among the last, and one of two workers was idle while it went on.
 */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isOther = ({ moduleId }: TestSpecification) => Number(!moduleId.endsWith(longest));
    return (await super.sort(files)).sort((one, other) => isOther(one) - isOther(other));
  }
}
