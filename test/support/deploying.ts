import { expect } from 'vitest';
import { changeDocument, slowTypes } from '../../rehearsal/terraform/documents.ts';
import { complaints, type TerraformRun } from '../../rehearsal/terraform/stack.ts';

/** The stack without the resource types that the provider polls for minutes. */
export function withoutSlowTypes(document: string): string {
  return changeDocument(document, { leftOut: slowTypes });
}

/** Expects success without an error or a warning. */
export function expectClean(run: TerraformRun): void {
  expect({ command: run.command, complaints: complaints(run) }).toEqual({
    command: run.command,
    complaints: [],
  });
  expect(run.exitCode, run.output).toBe(0);
}
