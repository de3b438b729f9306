/** One program of a deployment, run to its end or to its interruption, with the time of each line it writes. */
import { execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

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
  const kill = () => end(child.pid, 'SIGKILL');
  const interrupt = () => {
    end(child.pid, 'SIGINT');
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
  }
}

/** Sends a signal to a program's group and to what it started in groups of their own, as in a terminal of its own. */
function end(pid: number | undefined, signal: 'SIGINT' | 'SIGKILL'): void {
  if (pid === undefined) return;
  const others = descendants(pid);
  for (const target of [-pid, ...others.filter((one) => one.group !== pid).map((one) => one.pid)])
    try {
      process.kill(target, signal);
    } catch {
      // It ended in the meantime.
    }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

function descendants(root: number): Process[] {
  const all = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,pgid='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([pid = 0, parent = 0, group = 0]): Process => ({ pid, parent, group }));
  const found: Process[] = [];
  const open = [root];
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const child of all.filter(({ parent }) => parent === next)) {
      found.push(child);
      open.push(child.pid);
    }
  return found;
}
