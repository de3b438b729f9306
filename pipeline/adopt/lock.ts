/**
 * The lock of a state: a lease on its blob. Terraform acquires it without an end, so that it outlives a killed run.
 * https://developer.hashicorp.com/terraform/language/backend/azurerm
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { parseJson, textAt } from '../../core/json.ts';
import type { Azure } from './azure.ts';
import type { Backend, Stack } from './stack.ts';

export interface StateLock {
  /** Terraform's id of the lock; `unknown` if the run was killed before it wrote one. */
  readonly id: string;
  /** `user@host`. */
  readonly who: string;
  /** `OperationTypeApply` and the like, without the prefix, in lower case. */
  readonly operation: string;
  /** ISO 8601. */
  readonly since: string | undefined;
}

/** The current lock of a state; undefined if the state is free. */
export async function stateLock(stack: Stack, azure: Azure): Promise<StateLock | undefined> {
  return stack.backend.kind === 'azurerm' ? leaseOn(stack.backend, azure) : lockOnFile(stack, stack.backend);
}

/**
 * Ends a lease. The lock of a local state ends with its process, and cannot be broken.
 *
 * @throws Fault if the state has another lock by now
 */
export async function breakLock(stack: Stack, azure: Azure, lock: StateLock): Promise<void> {
  if (stack.backend.kind !== 'azurerm')
    throw new Fault(
      'state-lock/held-by-process',
      'The lock of a local state cannot be broken',
      `process ${lock.id} holds it until it ends`,
      'Wait for the process, or end it.',
    );
  const now = await leaseOn(stack.backend, azure);
  if (now?.id !== lock.id)
    throw new Fault(
      'state-lock/changed',
      `The state no longer has lock ${lock.id}`,
      now ? `${now.who} has locked it since` : 'the lock has been released',
      'Run the command again without --break-lock.',
      { exitCode: 2 },
    );
  const url = blobUrl(stack.backend);
  const broken = await azure.blob('PUT', `${url}?comp=lease`, {
    'x-ms-lease-action': 'break',
    'x-ms-lease-break-period': '0',
  });
  if (broken.status !== 202) throw refusedBlob('break the lease on', url, broken.status, broken.headers);
  // Otherwise the description of this run would describe the next one, if that is killed before it writes its own.
  const cleaned = await azure.blob('PUT', `${url}?comp=metadata`, {});
  if (cleaned.status !== 200)
    throw refusedBlob('clear the metadata of', url, cleaned.status, cleaned.headers);
}

/** One line for a person: holder, operation, time. */
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
  if (status !== 200) throw refusedBlob('read', url, status, headers);
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
    'state-lock/refused-by-azure',
    `Azure did not ${what} ${url}`,
    `it answered ${code} (HTTP ${status})`,
    'The identity needs the role Storage Blob Data Contributor on the container of the state (docs/bootstrap.md).',
    { exitCode: 2 },
  );
}

/**
 * Terraform locks a local state with a lock of the operating system, which ends with the process. The file that
 * describes the lock remains, and alone proves nothing.
 */
function lockOnFile(stack: Stack, { path }: Extract<Backend, { kind: 'local' }>): StateLock | undefined {
  const file = resolve(stack.directory, path);
  const holder = holderOf(file);
  if (holder === undefined) return undefined;
  const name = file.slice(dirname(file).length + 1);
  const info = parseLockInfo(readOrEmpty(join(dirname(file), `.${name}.lock.info`)));
  return { ...info, id: String(holder) };
}

/** The process that holds a lock on a file, on systems with /proc/locks (https://man7.org/linux/man-pages/man5/proc_locks.5.html). */
function holderOf(file: string): number | undefined {
  const locks = readOrEmpty('/proc/locks');
  try {
    const { ino } = statSync(file);
    const line = locks.split('\n').find((one) => one.includes(' WRITE ') && one.includes(`:${ino} `));
    const pid = line?.trim().split(/\s+/)[4];
    return pid === undefined ? undefined : Number(pid);
  } catch {
    return undefined; // The state does not exist yet.
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
  // A run that is killed between both requests leaves a lease without a description.
  const info = parseJson(text);
  return {
    id: textAt(info, 'ID') ?? 'unknown',
    who: textAt(info, 'Who') ?? 'an unknown run',
    operation: (textAt(info, 'Operation') ?? 'unknown').replace(/^OperationType/, '').toLowerCase(),
    since: textAt(info, 'Created'),
  };
}
