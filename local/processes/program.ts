/** Runs one program to its end or its interruption, and records when it wrote each line. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { killProcessesOf, scratchFolderVariable, signalAll } from './process-tree.ts';

/** A line of standard output or standard error. */
export interface Line {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly text: string;
}

export interface Ended {
  /** 128 plus the signal's number if a signal ended the program, as in a shell. */
  readonly exitCode: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly milliseconds: number;
  /** Standard output and standard error, in order of arrival. */
  readonly lines: readonly Line[];
  /** The text of {@link lines}. */
  readonly output: string;
  /** The text of standard output alone. */
  readonly stdout: string;
  /** The text of standard error alone. */
  readonly stderr: string;
}

/** How a run is stopped before its end. */
export interface StopSignals {
  /** Sends SIGINT, as Ctrl-C does: Terraform finishes or abandons its operations and saves its state. */
  readonly interrupt?: AbortSignal | undefined;
  /** Sends SIGKILL, as a lost machine would: Terraform and its provider end at once and save nothing. */
  readonly kill?: AbortSignal | undefined;
}

export interface ProgramOptions extends StopSignals {
  readonly cwd: string;
  /** The whole environment; nothing is inherited. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Called with each line. @default - lines are only collected */
  readonly onOutput?: ((line: Line, stream: 'stdout' | 'stderr') => void) | undefined;
  /** Called with the process id, which is also that of its process group. @default - nothing */
  readonly onStart?: ((pid: number) => void) | undefined;
}

/** An interrupted program is killed after this many milliseconds. */
const interruptTimeoutMs = 30_000;

/** Runs a program. If it is stopped, every process of its scratch folder is gone when this returns. */
export async function runProgram(
  program: string,
  parameters: readonly string[],
  options: ProgramOptions,
): Promise<Ended> {
  const { cwd, environment, onOutput, onStart } = options;
  const startedAt = Date.now();
  const child = spawn(program, [...parameters], {
    cwd,
    env: { ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a process group of its own, so that the caller decides who receives Ctrl-C, and in which order.
    detached: true,
  });
  if (child.pid !== undefined) onStart?.(child.pid);
  const lines: Line[] = [];
  const stdout: Line[] = [];
  const stderr: Line[] = [];
  const read = async (stream: Readable, name: 'stdout' | 'stderr', own: Line[]) => {
    for await (const text of createInterface({ input: stream })) {
      const line = { at: Date.now(), text };
      lines.push(line);
      own.push(line);
      onOutput?.(line, name);
    }
  };
  let timeout: NodeJS.Timeout | undefined;
  const kill = () => signalAll(child.pid, 'SIGKILL');
  const interrupt = () => {
    signalAll(child.pid, 'SIGINT');
    timeout ??= setTimeout(kill, interruptTimeoutMs);
  };
  const closed = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 130)));
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
    const [exitCode] = await Promise.all([
      closed,
      read(child.stdout, 'stdout', stdout),
      read(child.stderr, 'stderr', stderr),
    ]);
    const endedAt = Date.now();
    const milliseconds = endedAt - startedAt;
    return {
      exitCode,
      startedAt,
      endedAt,
      milliseconds,
      lines,
      output: textOf(lines),
      stdout: textOf(stdout),
      stderr: textOf(stderr),
    };
  } finally {
    clearTimeout(timeout);
    for (const [signal, stop] of stops) signal?.removeEventListener('abort', stop);
    // A killed Terraform cannot end its provider, and a killed cdktf cannot end its terminals.
    const folder = environment[scratchFolderVariable];
    if (folder !== undefined && stops.some(([signal]) => signal?.aborted)) await killProcessesOf(folder);
  }
}

function textOf(lines: readonly Line[]): string {
  return lines.map(({ text }) => `${text}\n`).join('');
}
