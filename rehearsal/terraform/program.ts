/** One program of a deployment, run to its end or to its interruption, with the time of each line it writes. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { endProcessesOf, folderVariable, signalAll } from './processes.ts';

/** A line of standard output or standard error, and when it came (milliseconds since the epoch). */
export interface Line {
  readonly at: number;
  readonly text: string;
}

export interface Ended {
  /** 128 and the signal's number when a signal ended it, as a shell says it. */
  readonly exitCode: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly milliseconds: number;
  /** Standard output and standard error in order of arrival. */
  readonly lines: readonly Line[];
  readonly output: string;
}

/** How a run is stopped before its end. */
export interface StopSignals {
  /** As Ctrl-C does: Terraform finishes or abandons what runs, and saves its state. */
  readonly interrupt?: AbortSignal | undefined;
  /** As a machine that goes away does: Terraform and its provider end at once, and nothing is saved. */
  readonly kill?: AbortSignal | undefined;
}

export interface ProgramOptions extends StopSignals {
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly hear?: ((line: Line) => void) | undefined;
}

/** Longest an interrupted program may take to end, in milliseconds, before it is killed. */
const patience = 30_000;

/** Runs a program to its end. One that was stopped leaves nothing that belongs to its scratch project. */
export async function runProgram(
  program: string,
  parameters: readonly string[],
  options: ProgramOptions,
): Promise<Ended> {
  const { cwd, environment, hear } = options;
  const startedAt = Date.now();
  const child = spawn(program, [...parameters], {
    cwd,
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C at the terminal is the rehearsal's to pass on, in its own order.
    detached: true,
  });
  const lines: Line[] = [];
  const read = async (stream: Readable) => {
    for await (const text of createInterface({ input: stream })) {
      const line = { at: Date.now(), text };
      lines.push(line);
      hear?.(line);
    }
  };
  let last: NodeJS.Timeout | undefined;
  const kill = () => signalAll(child.pid, 'SIGKILL');
  const interrupt = () => {
    signalAll(child.pid, 'SIGINT');
    last ??= setTimeout(kill, patience);
  };
  const closed = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, by) => resolve(code ?? (by === 'SIGKILL' ? 137 : 130)));
  });
  const stops = [
    [options.interrupt, interrupt],
    [options.kill, kill],
  ] as const;
  for (const [signal, stop] of stops) {
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
  }
  try {
    const [exitCode] = await Promise.all([closed, read(child.stdout), read(child.stderr)]);
    const endedAt = Date.now();
    const output = lines.map(({ text }) => `${text}\n`).join('');
    return { exitCode, startedAt, endedAt, milliseconds: endedAt - startedAt, lines, output };
  } finally {
    clearTimeout(last);
    for (const [signal, stop] of stops) signal?.removeEventListener('abort', stop);
    // Terraform that is killed cannot end its provider, nor cdktf what it gave a terminal of its own.
    const folder = environment[folderVariable];
    if (folder !== undefined && stops.some(([signal]) => signal?.aborted)) await endProcessesOf(folder);
  }
}
