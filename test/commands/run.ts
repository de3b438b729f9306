/** Runs llama-db as a person or a pipeline does, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** The output so far, of both streams. */
  printed(): string;
}

/** Starts `llama-db` without the targets in this process's environment. */
export function start(args: readonly string[], environment: Record<string, string> = {}): Running {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG|LLAMA_DB|AZURE|ARM|VITEST)/.test(name),
  );
  const child = spawn(process.execPath, [join(root, 'commands/llama-db.mjs'), ...args], {
    cwd: root,
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ...text }));
  });
  return { child, finished, printed: () => text.stdout + text.stderr };
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
