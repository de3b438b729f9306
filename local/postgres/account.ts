import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { Fault } from '../../core/fault.ts';

/** The account of server processes. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root, so root runs it under an existing unprivileged account: `postgres` if the machine has
 * it, otherwise `nobody`. No account is created.
 *
 * @returns undefined for a user other than root, who runs the server
 * @throws Fault if root has no such account
 */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    const uid = numericId('-u', name);
    const gid = numericId('-g', name);
    if (uid && gid) return { uid, gid };
  }
  throw new Fault(
    'local-postgres/no-account',
    'The local PostgreSQL cannot start as root',
    'PostgreSQL refuses to run as root and this machine has neither an account `postgres` nor `nobody`',
    'Run the command as an ordinary user.',
  );
}

/** The folder of a server's files: the system's temporary directory, unless the server's account cannot enter it. */
export function temporaryDirectory(account: Account | undefined): string {
  const candidates = [tmpdir(), '/tmp', '/var/tmp'];
  if (!account) return tmpdir();
  return candidates.find(canBeEnteredByAll) ?? tmpdir();
}

function canBeEnteredByAll(directory: string): boolean {
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
