/**
 * The lock on a state: a lease on its blob, which Terraform takes without an end and which therefore outlives a run
 * that was killed. https://developer.hashicorp.com/terraform/language/backend/azurerm
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { parseJson, textAt } from '../../core/json.ts';
import type { Azure } from './azure.ts';
import type { Backend, Stack } from './stack.ts';

export interface StateLock {
  /** What Terraform wrote about the run that took it; `unknown` when it was killed before it could. */
  readonly id: string;
  /** `user@host`. */
  readonly who: string;
  /** `OperationTypeApply` and the like, without the prefix, in lower case. */
  readonly operation: string;
  /** ISO 8601. */
  readonly since: string | undefined;
}

/** The lock that is on a state now; undefined when nobody holds it. */
export async function stateLock(stack: Stack, azure: Azure): Promise<StateLock | undefined> {
  return stack.backend.kind === 'azurerm' ? leaseOn(stack.backend, azure) : lockOnFile(stack, stack.backend);
}

/**
 * Ends a lease, whoever holds it. The lock of a local state needs no breaking: it ends with the process that held it.
 *
 * @throws Fault when it is not the lock that was looked at
 */
export async function breakLock(stack: Stack, azure: Azure, lock: StateLock): Promise<void> {
  if (stack.backend.kind !== 'azurerm')
    throw new Fault(
      'lock/1',
      'The lock on a local state cannot be broken',
      `process ${lock.id} holds it, and it ends with that process`,
      'Wait for it, or end it.',
    );
  const now = await leaseOn(stack.backend, azure);
  if (now?.id !== lock.id)
    throw new Fault(
      'lock/2',
      `The state is not locked by ${lock.id} any more`,
      now ? `${now.who} has locked it since` : 'its lock is gone',
      'Run the command again without --break-lock.',
      { exitCode: 2 },
    );
  const url = blobUrl(stack.backend);
  const broken = await azure.blob('PUT', `${url}?comp=lease`, {
    'x-ms-lease-action': 'break',
    'x-ms-lease-break-period': '0',
  });
  if (broken.status !== 202) throw refusedBlob('break the lease on', url, broken.status, broken.headers);
  // What Terraform wrote about its holder would be told of the next one who fails to write it.
  const cleaned = await azure.blob('PUT', `${url}?comp=metadata`, {});
  if (cleaned.status !== 200)
    throw refusedBlob('clear the metadata of', url, cleaned.status, cleaned.headers);
}

/** A person's line: who, what, since when. */
export function describeLock(lock: StateLock, now = Date.now()): string {
  if (lock.since === undefined) return `locked by ${lock.who}`;
  const minutes = Math.round((now - Date.parse(lock.since)) / 60_000);
  const ago = minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
  return `locked by ${lock.who} (${lock.operation}) since ${lock.since}, ${ago} ago`;
}

type BlobBackend = Extract<Backend, { kind: 'azurerm' }>;

async function leaseOn(backend: BlobBackend, azure: Azure): Promise<StateLock | undefined> {
  const url = blobUrl(backend);
  const { status, headers } = await azure.blob('HEAD', url, {});
  // The first deployment has not written it yet.
  if (status === 404 && headers['x-ms-error-code'] !== 'ContainerNotFound') return undefined;
  if (status !== 200) throw refusedBlob('look at', url, status, headers);
  if (headers['x-ms-lease-status'] !== 'locked') return undefined;
  return parseLockInfo(Buffer.from(headers['x-ms-meta-terraformlockid'] ?? '', 'base64').toString('utf8'));
}

function blobUrl({ account, container, key }: BlobBackend): string {
  return `https://${account}.blob.core.windows.net/${container}/${key}`;
}

function refusedBlob(
  what: string,
  url: string,
  status: number,
  headers: Readonly<Record<string, string>>,
): Fault {
  const code = headers['x-ms-error-code'] ?? 'no code';
  return new Fault(
    'lock/3',
    `Azure did not ${what} ${url}`,
    `it answered ${code} (HTTP ${status})`,
    'The identity needs Storage Blob Data Contributor on the container of the state (docs/bootstrap.md).',
    { exitCode: 2 },
  );
}

/**
 * Terraform's lock on a local state is one of the operating system, which leaves nothing behind when its process is
 * killed; the file that describes it does stay, and says nothing alone.
 */
function lockOnFile(stack: Stack, { path }: Extract<Backend, { kind: 'local' }>): StateLock | undefined {
  const file = resolve(stack.directory, path);
  const holder = holderOf(file);
  if (holder === undefined) return undefined;
  const name = file.slice(dirname(file).length + 1);
  const info = parseLockInfo(readOrEmpty(join(dirname(file), `.${name}.lock.info`)));
  return { ...info, id: String(holder) };
}

/** The process that holds a lock on a file, where the system lists them (https://man7.org/linux/man-pages/man5/proc_locks.5.html). */
function holderOf(file: string): number | undefined {
  const locks = readOrEmpty('/proc/locks');
  try {
    const { ino } = statSync(file);
    const line = locks.split('\n').find((one) => one.includes(' WRITE ') && one.includes(`:${ino} `));
    const pid = line?.trim().split(/\s+/)[4];
    return pid === undefined ? undefined : Number(pid);
  } catch {
    return undefined; // No state yet.
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function parseLockInfo(text: string): StateLock {
  // A run killed between taking the lease and writing its description leaves no JSON here.
  const info = parseJson(text);
  return {
    id: textAt(info, 'ID') ?? 'unknown',
    who: textAt(info, 'Who') ?? 'a run that did not say who it was',
    operation: (textAt(info, 'Operation') ?? 'unknown').replace(/^OperationType/, '').toLowerCase(),
    since: textAt(info, 'Created'),
  };
}
