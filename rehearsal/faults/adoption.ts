/** The real `llama-db adopt`, as a person runs it after a deployment that did not end. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram } from '../terraform/program.ts';

const program = fileURLToPath(new URL('../../commands/llama-db.mjs', import.meta.url));

/** Where it looks: the folder of a stack, and the environment under which Terraform runs there. */
export interface Deployed {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface AdoptAnswer {
  readonly exitCode: number;
  readonly output: string;
  /** Set when it could look. */
  readonly result?: {
    readonly outcome: string;
    readonly adoptable: readonly { readonly address: string; readonly importId: string }[];
    readonly tainted: readonly { readonly address: string }[];
    readonly obstacles: readonly {
      readonly address: string;
      readonly what: string;
      readonly remedy: string;
    }[];
    readonly orphans: readonly { readonly id: string }[];
  };
  /** Id of the lock that kept it from looking. */
  readonly lock?: string;
}

export async function runAdopt(
  stack: Deployed,
  environment: string,
  ...parameters: string[]
): Promise<AdoptAnswer> {
  const ended = await runProgram(
    process.execPath,
    [program, 'adopt', environment, '--yes', '--json', ...parameters],
    {
      cwd: stack.directory,
      environment: { ...stack.environment, CDKTF_OUTDIR: path.resolve(stack.directory, '../..') },
    },
  );
  const text = ended.lines.find((line) => line.text.startsWith('{"ok"'))?.text ?? '{}';
  const answer = JSON.parse(text);
  const lock = /--break-lock ([0-9a-f-]+|unknown)/.exec(ended.output)?.[1];
  return {
    exitCode: ended.exitCode,
    output: ended.output,
    ...(answer.ok === true ? { result: answer } : {}),
    ...(lock === undefined ? {} : { lock }),
  };
}

/** Adopts, after breaking the lock that a killed run has left. */
export async function adoptAll(
  stack: Deployed,
  environment: string,
): Promise<AdoptAnswer & { brokeLock: boolean }> {
  const first = await runAdopt(stack, environment);
  if (first.lock === undefined) return { ...first, brokeLock: false };
  return { ...(await runAdopt(stack, environment, '--break-lock', first.lock)), brokeLock: true };
}
