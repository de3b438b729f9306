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
export function holdSandbox(
  log: Screen['log'],
  signal: AbortSignal,
  quick = false,
): (sandbox: Sandbox) => Promise<void> {
  return async (sandbox) => {
    const file = path.join(sandbox.project.root, 'environment.sh');
    await writeFile(file, shellOf(sandbox), { mode: 0o600 });
    const { name } = sandbox.settings;
    log(
      [
        `Everything is still up: ${name} in the local Azure, with its PostgreSQL. In another shell:`,
        `  . ${file}`,
        'Then, as an operator of the real environment does:',
        `  terraform plan                   # nothing to change: Azure is as the settings say`,
        `  llama-db verify ${name.padEnd(17)}# every check, in Azure and in the database`,
        `  psql "$DATABASE_URL"             # the database, as its superuser`,
        `Change something in psql, and verify reports it.${quick ? ' Its finding AZU-030 is about the alerts that --quick leaves out.' : ''}`,
        'Ctrl-C here ends it and removes everything.',
      ].join('\n'),
    );
    await untilAborted(signal);
  };
}

/** Variables and commands with which a shell uses a sandbox; it ends in the folder of the stack. */
function shellOf({ project, postgres, settings, variables }: Sandbox): string {
  const quoted = (value: string) => `'${value.replaceAll("'", String.raw`'\''`)}'`;
  const output = path.join(project.root, 'cdktf.out');
  const exported = {
    ...variables,
    // llama-db reads the outputs of the stack here, and not in the checkout.
    CDKTF_OUTDIR: output,
    DATABASE_URL: postgres.url('superuser', { database: settings.database.name }),
  };
  const lines = Object.entries(exported)
    // The scratch folder's mark would end the user's shell together with the rehearsal's processes.
    .filter(([name]) => !['PATH', 'HOME', 'USER', 'TMPDIR', scratchFolderVariable].includes(name))
    .map(([name, value]) => `export ${name}=${quoted(value)}`);
  return [
    ...lines,
    `llama-db() { ${quoted(process.execPath)} ${quoted(path.join(project.root, 'commands/llama-db.mjs'))} "$@"; }`,
    `cd ${quoted(path.join(output, 'stacks', settings.name))}`,
    '',
  ].join('\n');
}
