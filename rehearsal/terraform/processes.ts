/**
 * What belongs to a program that was started, however it was started: cdktf gives Terraform a terminal, and with it a
 * group, of its own; and a provider whose Terraform was killed has nobody left to end it, and lives on.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Variable that tells a rehearsal's processes from all others: it holds the folder of the scratch project, and whatever
 * is started there inherits it.
 */
export const folderVariable = 'LLAMA_REHEARSAL_FOLDER';

/** Processes that have the folder in their environment; none where there is no /proc to ask. */
export function processesOf(folder: string): readonly number[] {
  const mark = `\0${folderVariable}=${folder}\0`;
  return numbersIn('/proc').filter((pid) => {
    try {
      return pid !== process.pid && `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(mark);
    } catch {
      return false; // It has ended, is ending, or is somebody else's.
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

/** Sends a signal to a program's group and to what it started in groups of their own, as in a terminal of its own. */
export function signalAll(pid: number | undefined, signal: 'SIGINT' | 'SIGKILL'): void {
  if (pid === undefined) return;
  const others = descendants(pid).filter(({ group }) => group !== pid);
  for (const target of [-pid, ...others.map((one) => one.pid)]) send(target, signal);
}

/** Longest a killed process may take until it is gone, in milliseconds: until its parent has asked how it ended. */
const patience = 5_000;

/** Kills whatever still belongs to a folder, also what is started meanwhile, and waits until it is gone. */
export async function endProcessesOf(folder: string): Promise<void> {
  const deadline = Date.now() + patience;
  for (let left = processesOf(folder); left.length > 0; left = processesOf(folder)) {
    if (Date.now() > deadline)
      throw new Error(`processes ${left.join(', ')} of ${folder} do not end although they were killed`);
    for (const pid of left) send(pid, 'SIGKILL');
    await sleep(10);
  }
}

function send(target: number, signal: NodeJS.Signals): void {
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
