/** How a rehearsal shows itself, is held, and is ended by hand. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { WriteStream } from 'node:tty';
import type { Stage } from './stage/stage.ts';
import { folderVariable } from './terraform/processes.ts';

export interface Screen {
  readonly say: (line: string) => void;
  /** Undefined where nobody watches: each state would be a line of its own. */
  readonly progress: ((text: string) => void) | undefined;
}

export function terminal(stream: WriteStream | NodeJS.WriteStream): Screen {
  const clear = stream.isTTY ? '\r\u001B[2K' : '';
  return {
    say: (line) => void stream.write(`${clear}${line}\n`),
    progress: stream.isTTY ? (text) => void stream.write(`${clear}${text}`) : undefined,
  };
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Does work that Ctrl-C (or a closed terminal) ends in good order. */
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

/** Says how to use what is up, and waits to be interrupted. */
export function holdStage(say: Screen['say'], signal: AbortSignal): (stage: Stage) => Promise<void> {
  return async (stage) => {
    const { project, postgres, settings, variables } = stage;
    const file = path.join(project.root, 'environment.sh');
    const quoted = (value: string) => `'${value.replaceAll("'", String.raw`'\''`)}'`;
    const lines = Object.entries(variables)
      // A shell of the user's own is not to be ended with what the rehearsal has started.
      .filter(([name]) => !['PATH', 'HOME', 'USER', 'TMPDIR', folderVariable].includes(name))
      .map(([name, value]) => `export ${name}=${quoted(value)}\n`);
    await writeFile(file, lines.join(''), { mode: 0o600 });
    say(
      [
        'Everything is still up. In another shell:',
        `  . ${file}`,
        `  cd ${path.join(project.root, 'cdktf.out/stacks', settings.name)} && terraform plan`,
        `  psql ${quoted(postgres.url('superuser', { database: settings.database.name }))}`,
        'Ctrl-C ends it and removes everything.',
      ].join('\n'),
    );
    if (signal.aborted) return;
    const alive = setInterval(() => {}, 60_000);
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    clearInterval(alive);
  };
}
