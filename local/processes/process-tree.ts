/**
 * Finds and ends every process of a program, including those in other process groups: cdktf runs Terraform in a
 * terminal of its own, and a provider survives a Terraform that was killed.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Environment variable that marks the processes of one run. It holds the run's scratch folder, and every process
 * started there inherits it.
 */
export const scratchFolderVariable = 'LLAMA_SCRATCH_FOLDER';

/** Ids of the processes with this folder in their environment; empty on a system without /proc. */
export function processesOf(folder: string): readonly number[] {
  const mark = `\0${scratchFolderVariable}=${folder}\0`;
  return numbersIn('/proc').filter((pid) => {
    try {
      return pid !== process.pid && `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(mark);
    } catch {
      return false; // The process has ended or belongs to another user.
    }
  });
}

function numbersIn(folder: string): readonly number[] {
  try {
    return readdirSync(folder)
      .map(Number)
      .filter((one) => one > 0);
  } catch {
    return [];
  }
}

/** Sends a signal to a program's process group and to its descendants in other groups. */
export function signalAll(pid: number | undefined, signal: 'SIGINT' | 'SIGKILL'): void {
  if (pid === undefined) return;
  const others = descendants(pid).filter(({ group }) => group !== pid);
  for (const target of [-pid, ...others.map((one) => one.pid)]) send(target, signal);
}

/** Milliseconds a killed process may take to disappear, which needs its parent to collect its exit status. */
const killTimeoutMs = 5_000;

/**
 * Kills every process of a scratch folder, including those started meanwhile, and waits until all are gone.
 *
 * @throws Error if a killed process does not end within five seconds
 */
export async function killProcessesOf(folder: string): Promise<void> {
  const deadline = Date.now() + killTimeoutMs;
  for (let left = processesOf(folder); left.length > 0; left = processesOf(folder)) {
    if (Date.now() > deadline)
      throw new Error(`processes ${left.join(', ')} of ${folder} were killed but have not ended`);
    for (const pid of left) send(pid, 'SIGKILL');
    await sleep(10);
  }
}

function send(target: number, signal: NodeJS.Signals): void {
  try {
    process.kill(target, signal);
  } catch {
    // The process has ended meanwhile.
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
