import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Reads what to watch from its standard input, which only the guarded program holds open. End of input means
 * that the program is gone, however it ended, SIGKILL included.
 *
 * A process that has ended still answers `kill -0` until somebody reaps it, which in a container may be nobody:
 * where there is a /proc, its state tells. There, too, a process is known by a variable that it has inherited.
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
 * Ends a server and removes its directory once this program has ended, without depending on signal handlers:
 * a separate process group that no Ctrl-C reaches, tied to this program by a pipe.
 */
export class Guardian {
  readonly #shell: ChildProcess;

  /**
   * @param variable whatever has the directory in this environment variable ends as well, at once, before the directory
   *   is removed. @default - only what is watched ends
   */
  constructor(directory: string, variable = '') {
    this.#shell = spawn('/bin/sh', ['-c', script, 'llama-db-guardian', directory, variable], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#shell.unref();
    // A pipe of a child is a socket, whose handle alone would keep the event loop alive.
    const input = this.#shell.stdin as unknown as { unref?: () => void } | null;
    input?.unref?.();
    this.#shell.stdin?.on('error', () => {});
  }

  /** From now on this process must not outlive the program; it replaces the one watched before. */
  watch(pid: number): void {
    this.#shell.stdin?.write(`watch ${pid}\n`);
  }

  /** The watched process has ended; its number may belong to somebody else soon. */
  forget(): void {
    this.#shell.stdin?.write('forget\n');
  }

  /** Removes the directory, and ends what is still watched. Resolves when both are gone. */
  async finish(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    const exited = once(this.#shell, 'exit');
    this.#shell.ref();
    this.#shell.stdin?.end();
    await exited;
  }
}
