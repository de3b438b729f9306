import { execFileSync } from 'node:child_process';
import { Fault } from '../../database/fault.ts';

/** Whom server processes run as; undefined for the user who runs this program. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root, so root hands it to an existing unprivileged account: `postgres` where the
 * machine has it, else `nobody`. No account is created.
 *
 * @throws Fault when root has no such account
 */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const uid = numericId('-u', name);
    const gid = numericId('-g', name);
    if (uid && gid) return { uid, gid };
  }
  throw new Fault(
    'The local PostgreSQL cannot start as root',
    'PostgreSQL refuses to run as root and this machine has neither an account `postgres` nor `nobody`',
    'Run the command as an ordinary user.',
  );
}

function numericId(flag: '-u' | '-g', name: string): number | undefined {
  try {
    return Number.parseInt(
      execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
      10,
    );
  } catch {
    return undefined;
  }
}
