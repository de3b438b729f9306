import { expect } from 'vitest';
import { changed, watched } from '../../rehearsal/terraform/documents.ts';
import { complaints, type TerraformRun } from '../../rehearsal/terraform/stack.ts';

/** The same stack without what only waiting would be tested of. */
export function withoutWatched(document: string): string {
  return changed(document, { leftOut: watched });
}

/** Neither an error nor a warning, and the exit status of success. */
export function expectClean(run: TerraformRun): void {
  expect({ command: run.command, complaints: complaints(run) }).toEqual({
    command: run.command,
    complaints: [],
  });
  expect(run.exitCode, run.output).toBe(0);
}
