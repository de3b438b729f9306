import { expect } from 'vitest';
import { complaints, type TerraformRun } from '../../rehearsal/terraform/stack.ts';

/** Resources that azurerm watches for about two minutes each before it believes that they are there. */
const watched = ['azurerm_monitor_metric_alert', 'azurerm_management_lock'];

/** The same stack without what only waiting would be tested of. */
export function withoutWatched(document: string): string {
  const gone = new RegExp(`^(?:${watched.join('|')})\\.`);
  const clean = (value: unknown, key?: string): unknown => {
    if (Array.isArray(value))
      return value
        .filter((item) => key !== 'depends_on' || typeof item !== 'string' || !gone.test(item))
        .map((item) => clean(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, clean(inner, name)]));
  };
  const stack = JSON.parse(document);
  for (const type of watched) delete stack.resource[type];
  return JSON.stringify(clean(stack));
}

/** Neither an error nor a warning, and the exit status of success. */
export function expectClean(run: TerraformRun): void {
  expect({ command: run.command, complaints: complaints(run) }).toEqual({
    command: run.command,
    complaints: [],
  });
  expect(run.exitCode, run.output).toBe(0);
}
