/** The post-deploy step inside a job: it proves that it is the code of the release, and says its exit status last. */
import { writeSync } from 'node:fs';
import { Fault } from '../../core/fault.ts';
import { digestOfPostDeploy } from './files.ts';

/** Variables that the start of a job sets. */
export const jobVariables = {
  /** Random text that begins the last line. */
  mark: 'LLAMA_DB_JOB_MARK',
  /** Digest of the files that the release runs. */
  files: 'LLAMA_DB_JOB_FILES',
} as const;

/** The last line of a job. */
export function lastLine(mark: string, exitCode: number): string {
  return `llama-db job ${mark} ends with exit status ${exitCode}`;
}

/** The exit status in a line, if it is the last one of the job with that mark. */
export function exitCodeIn(line: string, mark: string): number | undefined {
  const [, status] = /^llama-db job \S+ ends with exit status (\d+)$/.exec(line.trim()) ?? [];
  return status !== undefined && line.trim() === lastLine(mark, Number(status)) ? Number(status) : undefined;
}

/**
 * Does nothing outside a job.
 *
 * @throws Fault `post-deploy/job-image-differs` (exit 2) if the image has other files than the release
 */
export async function beInsideJob(variables: NodeJS.ProcessEnv): Promise<void> {
  const { [jobVariables.mark]: mark, [jobVariables.files]: expected } = variables;
  if (mark === undefined || expected === undefined) return;
  // The console of a job has no other place for it, and the control plane only says that the job failed.
  process.once('exit', (code) => writeSync(1, `${lastLine(mark, code)}\n`));
  const own = await digestOfPostDeploy();
  if (own === expected) return;
  throw new Fault(
    'post-deploy/job-image-differs',
    'The image of the post-deploy job is not of this release',
    `its files have the digest ${own.slice(0, 12)}, and those of the checkout that started it ${expected.slice(0, 12)}`,
    'Build the image from the commit of the release, push it, set its digest as postDeployJob.image and make a new release (docs/runners.md).',
    { exitCode: 2 },
  );
}
