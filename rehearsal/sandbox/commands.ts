/** `llama-db` as a person or a pipeline runs it on a deployed sandbox, with its JSON results and its errors. */
import { Fault } from '../../core/fault.ts';
import type { Sandbox } from './sandbox.ts';

export interface Verified {
  /** Ids of the checks with findings, each with its findings as text. */
  readonly failed: ReadonlyMap<string, string>;
  /** Ids of the skipped checks, each with the reason. */
  readonly skipped: ReadonlyMap<string, string>;
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly reason?: string;
  readonly findings?: readonly { readonly object: string; readonly detail: string }[];
}

/**
 * Runs `llama-db verify`.
 *
 * @throws Fault if the command could not check anything
 */
export async function runVerify(sandbox: Sandbox, ...parameters: string[]): Promise<Verified> {
  const ended = await sandbox.command('verify', sandbox.environment, '--json', ...parameters);
  const { checks }: { readonly checks?: readonly Check[] } = JSON.parse(ended.stdout || '{}');
  if (!checks)
    throw new Fault(
      'rehearsal/verify-failed',
      'llama-db verify did not check the deployment',
      ended.output.trim(),
      'Resolve the error and run the rehearsal again.',
    );
  const having = (status: string) => checks.filter((check) => check.status === status);
  return {
    failed: new Map(
      having('failed').map(({ id, findings = [] }) => [
        id,
        findings.map(({ object, detail }) => `${object}: ${detail}`).join('; '),
      ]),
    ),
    skipped: new Map(having('skipped').map(({ id, reason }) => [id, reason ?? 'no reason'])),
  };
}

export interface Adopted {
  readonly exitCode: number;
  readonly output: string;
  /** The lock of a killed run was broken first. */
  readonly brokeLock: boolean;
  /** Absent if the command could not read the state. */
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
}

/** Runs `llama-db adopt --yes`, a second time with `--break-lock` if a killed run has left its lock. */
export async function runAdopt(sandbox: Sandbox): Promise<Adopted> {
  const adopt = (...parameters: string[]) =>
    sandbox.command('adopt', sandbox.environment, '--yes', '--json', ...parameters);
  const first = await adopt();
  const lock = /--break-lock ([0-9a-f-]+|unknown)/.exec(first.output)?.[1];
  const ended = lock === undefined ? first : await adopt('--break-lock', lock);
  const answer = JSON.parse(ended.stdout || '{}');
  return {
    exitCode: ended.exitCode,
    output: ended.output,
    brokeLock: lock !== undefined,
    ...(answer.ok === true ? { result: answer } : {}),
  };
}

/**
 * Whether output has one error with this code, in one line that names every value: server, user, reason, command of the
 * remedy.
 */
export function hasError(output: string, code: string, ...values: readonly string[]): boolean {
  const lines = output.split('\n').filter((line) => line.endsWith(` [${code}]`));
  return lines.length === 1 && values.every((value) => value !== '' && lines[0]?.includes(value));
}
