/** The terminal of a rehearsal: its output, its interruption, and the state that --keep leaves up. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { WriteStream } from 'node:tty';
import { scratchFolderVariable } from '../local/processes/process-tree.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

export interface Screen {
  readonly log: (line: string) => void;
  /** Replaces the line of progress. Undefined without a terminal, where each state would be a line of its own. */
  readonly progress: ((text: string) => void) | undefined;
}

/** Whether a stream can redraw a line: a log of a pipeline cannot, even if the pipeline gives it a terminal. */
export function redraws(stream: { readonly isTTY?: boolean }, environment = process.env): boolean {
  return stream.isTTY === true && !environment['CI'] && environment['TERM'] !== 'dumb';
}

export function terminal(stream: WriteStream | NodeJS.WriteStream): Screen {
  const redrawn = redraws(stream);
  const clear = redrawn ? '\r\u001B[2K' : '';
  return {
    log: (line) => void stream.write(`${clear}${line}\n`),
    progress: redrawn ? (text) => void stream.write(`${clear}${text}`) : undefined,
  };
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Does work with an AbortSignal that Ctrl-C, SIGTERM or a closed terminal aborts. */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  for (const signal of signals) process.on(signal, interrupt);
  try {
    await work(interrupted.signal);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}

/** Waits until the signal is aborted, and keeps this process alive meanwhile. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const alive = setInterval(() => {}, 60_000);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(alive);
}

/** Prints how to use a sandbox from another shell, and waits for Ctrl-C. */
export function holdSandbox(log: Screen['log'], signal: AbortSignal): (sandbox: Sandbox) => Promise<void> {
  return async (sandbox) => {
    const { project, postgres, settings, variables } = sandbox;
    const file = path.join(project.root, 'environment.sh');
    const quoted = (value: string) => `'${value.replaceAll("'", String.raw`'\''`)}'`;
    const lines = Object.entries(variables)
      // The scratch folder's mark would end the user's shell together with the rehearsal's processes.
      .filter(([name]) => !['PATH', 'HOME', 'USER', 'TMPDIR', scratchFolderVariable].includes(name))
      .map(([name, value]) => `export ${name}=${quoted(value)}\n`);
    await writeFile(file, lines.join(''), { mode: 0o600 });
    log(
      [
        'Everything is still up. In another shell:',
        `  . ${file}`,
        `  cd ${path.join(project.root, 'cdktf.out/stacks', settings.name)} && terraform plan`,
        `  psql ${quoted(postgres.url('superuser', { database: settings.database.name }))}`,
        'Ctrl-C ends it and removes everything.',
      ].join('\n'),
    );
    await untilAborted(signal);
  };
}
