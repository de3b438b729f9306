/** What is still there of something that should have ended. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Whether this machine tells enough of its processes: Linux does. */
export const tellsProcesses = process.platform === 'linux';

/** Processes, with their command lines, that have a folder in their command line, environment or working directory. */
export function processesAbout(folder: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    const of = (look: () => string) => {
      try {
        return look();
      } catch {
        return ''; // It has ended, or is somebody else's.
      }
    };
    const line = of(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
    const about = [
      line,
      of(() => readFileSync(`/proc/${pid}/environ`, 'latin1')),
      of(() => readlinkSync(`/proc/${pid}/cwd`)),
    ];
    // Who ends the others is there until its project is closed.
    const isGuardian = line.includes('llama-db-guardian') && existsSync(folder);
    return !isGuardian && about.some((one) => one.includes(folder))
      ? [`${pid} ${line.replaceAll('\0', ' ').slice(0, 120)}`]
      : [];
  });
}
