/** Finds processes that should have ended. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Whether this machine shows the environment of processes, as Linux does. */
export const showsProcesses = process.platform === 'linux';

/** Processes with a folder in their command line, environment or working directory, each with its command line. */
export function processesAbout(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    const of = (look: () => string) => {
      try {
        return look();
      } catch {
        return ''; // The process has ended or belongs to another user.
      }
    };
    const line = of(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
    const about = [
      line,
      of(() => readFileSync(`/proc/${pid}/environ`, 'latin1')),
      of(() => readlinkSync(`/proc/${pid}/cwd`)),
    ];
    // The guardian runs until its project is closed.
    const isGuardian = line.includes('llama-db-guardian') && existsSync(folder);
    return !isGuardian && about.some((one) => one.includes(folder))
      ? [`${pid} ${line.replaceAll('\0', ' ').slice(0, 120)}`]
      : [];
  });
}
