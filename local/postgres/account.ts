import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { Fault } from '../../core/fault.ts';

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
    'account/1',
    'The local PostgreSQL cannot start as root',
    'PostgreSQL refuses to run as root and this machine has neither an account `postgres` nor `nobody`',
    'Run the command as an ordinary user.',
  );
}

/**
 * Where a server's files go: the system's temporary directory, unless it is closed to the server's account, as
 * root's own often is.
 */
export function temporaryDirectory(account: Account | undefined): string {
  const candidates = [tmpdir(), '/tmp', '/var/tmp'];
  if (!account) return tmpdir();
  return candidates.find(isOpenToEverybody) ?? tmpdir();
}

function isOpenToEverybody(directory: string): boolean {
  try {
    for (let path = directory; ; path = dirname(path)) {
      if ((statSync(path).mode & 0o001) === 0) return false;
      if (path === dirname(path)) return true;
    }
  } catch {
    return false;
  }
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
