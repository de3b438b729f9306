/** The real `llama-db verify`, as a person or a pipeline runs it against what is deployed. */
import { Fault } from '../core/fault.ts';
import type { Stage } from './stage/stage.ts';

export interface Verified {
  /** Ids of the checks that found something, each with what it found. */
  readonly failed: ReadonlyMap<string, string>;
  /** Ids of the checks that could not look, each with why. */
  readonly skipped: ReadonlyMap<string, string>;
}

interface Answer {
  readonly checks: readonly {
    readonly id: string;
    readonly status: string;
    readonly reason?: string;
    readonly findings?: readonly { readonly object: string; readonly detail: string }[];
  }[];
}

/** Verifies a deployed stage; `parameters` are those of the command. */
export async function verified(stage: Stage, ...parameters: string[]): Promise<Verified> {
  const ended = await stage.command('verify', stage.environment, '--json', ...parameters);
  const text = ended.lines.find((line) => line.text.startsWith('{"ok"'))?.text ?? '{}';
  const { checks }: Partial<Answer> = JSON.parse(text);
  if (!checks)
    throw new Fault(
      'verification/1',
      'llama-db verify did not look',
      ended.output.trim(),
      'Mend what is named there.',
    );
  const found = checks.filter(({ status }) => status === 'failed');
  return {
    failed: new Map(
      found.map(({ id, findings = [] }) => [
        id,
        findings.map(({ object, detail }) => `${object}: ${detail}`).join('; '),
      ]),
    ),
    skipped: new Map(
      checks
        .filter(({ status }) => status === 'skipped')
        .map(({ id, reason }) => [id, reason ?? 'no reason']),
    ),
  };
}
