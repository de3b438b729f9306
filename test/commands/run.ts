/** Runs llama-db as a person or a pipeline does, in a process of its own. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../local/processes/program.ts';

const root = join(import.meta.dirname, '../..');

export interface Finished {
  /** 137 after SIGKILL, as in a shell. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly pid: number;
  readonly finished: Promise<Finished>;
  /** The lines so far, of both streams. */
  printed(): string;
  /** Sends SIGKILL, unless it has ended. */
  kill(): void;
}

/** The arguments without the password of `--url`, which the process list would show, and the variable that has it. */
function withoutPassword(args: readonly string[]): {
  args: readonly string[];
  variables: Record<string, string>;
} {
  const at = args.indexOf('--url') + 1;
  const text = args[at] ?? '';
  if (at === 0 || !URL.canParse(text) || new URL(text).password === '') return { args, variables: {} };
  const url = new URL(text);
  const variables = { PGPASSWORD: decodeURIComponent(url.password) };
  url.password = '';
  return { args: args.with(at, url.href), variables };
}

/** Starts `llama-db` without the targets in this process's environment. */
export function start(given: readonly string[], environment: Record<string, string> = {}): Running {
  const { args, variables } = withoutPassword(given);
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG|LLAMA_DB|AZURE|ARM|VITEST|DATABASE_URL)/.test(name),
  );
  const lines: string[] = [];
  let pid: number | undefined;
  let hasEnded = false;
  const program = join(root, 'commands/llama-db.mjs');
  const finished = runProgram(process.execPath, [program, ...args], {
    cwd: root,
    environment: { ...Object.fromEntries(inherited), ...variables, ...environment },
    onOutput: ({ text }) => lines.push(text),
    onStart: (started) => {
      pid = started;
    },
  }).then(({ exitCode: code, stdout, stderr }) => {
    hasEnded = true;
    return { code, stdout, stderr };
  });
  if (pid === undefined) throw new Error(`${program} did not start`);
  const started: number = pid;
  return {
    pid: started,
    finished,
    printed: () => lines.join('\n'),
    // At once, unlike the signals of the runner, which look for descendants first: the moment matters to tests.
    kill: () => void (hasEnded || process.kill(started, 'SIGKILL')),
  };
}

export function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Finished> {
  return start(args, environment).finished;
}

export interface MigrationsCopy {
  /** For `--migrations`. */
  readonly directory: string;
  /** Adds or replaces a file. */
  write(name: string, content: string): void;
  remove(name: string): void;
  /** Removes the copy. */
  drop(): void;
}

/** A copy of the project's migrations that a test may change; `empty` has no migrations. */
export function migrationsCopy(kind: 'project' | 'empty' = 'project'): MigrationsCopy {
  const home = mkdtempSync(join(tmpdir(), 'llama-db-migrations-'));
  const directory = join(home, 'migrations');
  if (kind === 'project') cpSync(join(root, 'migrations'), directory, { recursive: true });
  else mkdirSync(directory);
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }');
  // The imports of TypeScript migrations lead to this folder.
  symlinkSync(join(root, 'database'), join(home, 'database'));
  return {
    directory,
    write: (name, content) => writeFileSync(join(directory, name), content),
    remove: (name) => rmSync(join(directory, name)),
    drop: () => rmSync(home, { recursive: true, force: true }),
  };
}
