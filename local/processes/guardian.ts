import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Reads process ids from its standard input, which only the guarded program holds open. End of input means that the
 * program has ended, even by SIGKILL.
 *
 * An ended process answers `kill -0` until its parent reaps it, and a container may have no such parent. If /proc
 * exists, the script reads the process state instead, and finds processes by an inherited variable.
 */
const script = `
trap '' HUP INT TERM
directory=$1 variable=$2 watched=
runs() {
  kill -0 "$1" 2>/dev/null || return 1
  read -r _ _ state _ 2>/dev/null <"/proc/$1/stat" || return 0
  [ "$state" != Z ]
}
while read -r verb argument; do
  case $verb in
    watch) watched=$argument ;;
    forget) watched= ;;
  esac
done
if [ -n "$watched" ]; then
  for signal in INT QUIT; do
    runs "$watched" && kill -$signal "$watched" 2>/dev/null || break
    tries=0
    while runs "$watched" && [ $tries -lt 50 ]; do
      sleep 0.1
      tries=$((tries + 1))
    done
  done
  runs "$watched" && kill -KILL "$watched" 2>/dev/null
fi
tries=0
while [ -n "$variable" ] && [ $tries -lt 50 ]; do
  left=$(grep -lF "$variable=$directory" /proc/[0-9]*/environ 2>/dev/null)
  [ -n "$left" ] || break
  for file in $left; do
    file=\${file#/proc/}
    kill -KILL "\${file%/environ}" 2>/dev/null
  done
  sleep 0.1
  tries=$((tries + 1))
done
tries=0
until rm -rf "$directory" 2>/dev/null || [ $tries -ge 20 ]; do
  sleep 0.1
  tries=$((tries + 1))
done
`;

/**
 * Ends a server and removes its directory once this program has ended. It needs no signal handlers: it is a shell in
 * a process group that Ctrl-C does not reach, tied to this program by a pipe.
 */
export class Guardian {
  readonly #shell: ChildProcess;

  /**
   * @param variable every process with the directory in this environment variable is killed too, before the directory
   *   is removed. @default - only the watched process ends
   */
  constructor(directory: string, variable = '') {
    this.#shell = spawn('/bin/sh', ['-c', script, 'llama-db-guardian', directory, variable], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.unref();
    // A child's pipe is a socket whose handle would keep the event loop alive.
    const input = this.#shell.stdin as unknown as { unref?: () => void } | null;
    input?.unref?.();
    this.#shell.stdin?.on('error', () => {});
  }

  /** Ends this process if the program ends. Replaces the process watched before. */
  watch(pid: number): void {
    this.#shell.stdin?.write(`watch ${pid}\n`);
  }

  /** Stops watching: the process has ended, and its id may soon belong to another process. */
  forget(): void {
    this.#shell.stdin?.write('forget\n');
  }

  /** Ends the watched process and removes the directory. Resolves when both are gone. */
  async finish(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    const exited = once(this.#shell, 'exit');
    this.#shell.ref();
    this.#shell.stdin?.end();
    await exited;
  }
}
