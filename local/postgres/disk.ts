import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import { type Account, serverAccount, temporaryDirectory } from './account.ts';
import type { Command } from './process.ts';

/**
 * A data directory on a file system of limited size, on which a full disk gives the kernel's own ENOSPC.
 *
 * It is a tmpfs in a mount namespace of the server's process, so it ends with the process and leaves no mount. Root
 * creates the namespace directly; other users need a user namespace.
 */
export class SmallDisk {
  readonly #mount: string;
  readonly #account: Account | undefined;
  readonly #megabytes: number;
  readonly #pid: () => number | undefined;

  constructor(mount: string, megabytes: number, account: Account | undefined, pid: () => number | undefined) {
    this.#mount = mount;
    this.#megabytes = megabytes;
    this.#account = account;
    this.#pid = pid;
  }

  /** The data directory inside the server's namespace. */
  get dataDirectory(): string {
    return join(this.#mount, 'data');
  }

  /** Wraps a command so that it runs with a copy of `data` on the small disk. */
  inside(command: Command, data: string): Command {
    const script = [
      `mount -t tmpfs -o size=${this.#megabytes}m,mode=0711 tmpfs "$1"`,
      'cp -a "$2" "$1/data"',
      'shift 2',
      `exec ${becomeServer(this.#account)} "$@"`,
    ].join(' && ');
    return {
      program: 'unshare',
      args: [
        ...[...namespaces(), 'sh', '-c', script, 'small-disk', this.#mount, data],
        ...[command.program, ...command.args],
      ],
    };
  }

  /** The path, from outside, of a file in the namespace of a process. */
  seen(path: string, pid: number): string {
    return join('/proc', String(pid), 'root', path);
  }

  /** Fills the disk except for `leave` bytes. */
  fill(leave = 0): void {
    const block = Buffer.alloc(64 * 1024);
    const disk = this.#seenDisk();
    const file = openSync(join(disk, 'ballast'), 'a');
    try {
      for (let free = freeBytes(disk) - leave; free > 0; free = freeBytes(disk) - leave) {
        if (writeSync(file, block, 0, Math.min(free, block.length)) === 0) return;
      }
    } finally {
      closeSync(file);
    }
  }

  /** Undoes `fill`. */
  empty(): void {
    rmSync(join(this.#seenDisk(), 'ballast'), { force: true });
  }

  /** Bytes free. */
  free(): number {
    return freeBytes(this.#seenDisk());
  }

  #seenDisk(): string {
    const pid = this.#pid();
    if (pid === undefined) throw new Error('the small disk has ended with its server');
    return this.seen(this.#mount, pid);
  }
}

/** Why this machine cannot have a small disk; undefined if it can. */
export function whyNoSmallDisk(): string | undefined {
  if (process.platform !== 'linux') return 'a disk of limited size needs Linux namespaces';
  try {
    const become = becomeServer(serverAccount());
    const directory = temporaryDirectory(undefined);
    const script = `mount -t tmpfs -o size=1m tmpfs "$1" && exec ${become} true`;
    execFileSync('unshare', [...namespaces(), 'sh', '-c', script, 'probe', directory], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const reason = messageOf(error).trim().split('\n').at(-1);
    return `this machine does not let its user mount a disk of limited size (${reason})`;
  }
}

/** @throws Fault if this machine cannot have a small disk */
export function requireSmallDisk(): void {
  const reason = whyNoSmallDisk();
  if (reason)
    throw new Fault(
      'local-postgres/no-small-disk',
      'A server on a small disk cannot start',
      reason,
      'Run as root or allow user namespaces.',
    );
}

function namespaces(): string[] {
  return process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
}

/** Mounting needs root in the namespace, and PostgreSQL refuses to run as root: this changes the account between. */
function becomeServer(account: Account | undefined): string {
  if (account) return `setpriv --reuid ${account.uid} --regid ${account.gid} --clear-groups`;
  return `unshare --user --map-user=${process.getuid?.()} --map-group=${process.getgid?.()}`;
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}
