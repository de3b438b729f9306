/** The real `llama-db verify`, as a person or a pipeline runs it against what is deployed. */
import path from 'node:path';
import { Fault } from '../database/fault.ts';
import type { Stage } from './stage.ts';
import { runProgram } from './terraform/program.ts';

export interface Verified {
  readonly passed: number;
  /** Ids of the checks that found something, each with what it found. */
  readonly failed: ReadonlyMap<string, string>;
  /** Ids of the checks that could not look, each with why. */
  readonly skipped: ReadonlyMap<string, string>;
}

interface Answer {
  readonly counts: { readonly passed: number };
  readonly checks: readonly {
    readonly id: string;
    readonly status: string;
    readonly reason?: string;
    readonly findings?: readonly { readonly object: string; readonly detail: string }[];
  }[];
}

/** Verifies a deployed stage; `parameters` are those of the command. */
export async function verified(stage: Stage, ...parameters: string[]): Promise<Verified> {
  const { project, environment } = stage;
  const ended = await runProgram(
    process.execPath,
    [path.join(project.root, 'commands/llama-db.mjs'), 'verify', environment, '--json', ...parameters],
    {
      cwd: project.root,
      // Where it finds the stack whose outputs it reads.
      environment: { ...stage.variables, CDKTF_OUTDIR: path.join(project.root, 'cdktf.out') },
    },
  );
  const text = ended.lines.find((line) => line.text.startsWith('{"ok"'))?.text ?? '{}';
  const { counts, checks }: Partial<Answer> = JSON.parse(text);
  if (!counts || !checks)
    throw new Fault('llama-db verify did not look', ended.output.trim(), 'Mend what is named there.');
  const found = checks.filter(({ status }) => status === 'failed');
  return {
    passed: counts.passed,
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
