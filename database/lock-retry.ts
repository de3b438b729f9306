/** Repeats work that could not get a lock. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../core/fault.ts';
import { counted } from '../core/text.ts';
import { heldBy, sqlState } from './diagnosis.ts';

/** Lock not available; deadlock. PostgreSQL has rolled the statement back, so it can run again. */
const lockStates = new Set(['55P03', '40P01']);

export function isLockFailure(error: unknown): boolean {
  return lockStates.has(sqlState(error) ?? '');
}

/** Milliseconds before the next attempt: doubles up to 5 s, varied by half so that two sessions do not keep colliding. */
export function pauseAfter(attempt: number, first: number): number {
  return Math.min(first * 2 ** (attempt - 1), 5_000) * (0.5 + Math.random());
}

export interface LockAttempts {
  readonly attempts: number;
  /** `lock_timeout` of the session in milliseconds. */
  readonly lockTimeout: number;
  /** The session that held the lock at the latest wait. @default - unknown */
  readonly holder?: (() => string | undefined) | undefined;
}

/**
 * Runs `work`, one transaction or one statement, until it gets its lock.
 *
 * @param what the work, for the message: `Analyzing storage_records`
 * @throws Fault if no attempt got the lock; any other error at once
 */
export async function retryOnLock<Result>(
  what: string,
  { attempts, lockTimeout, holder }: LockAttempts,
  work: () => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!isLockFailure(error)) throw error;
      if (attempt >= attempts) {
        throw new Fault(
          'lock/not-free',
          what,
          heldBy(
            `its lock was not free within ${lockTimeout} ms in ${counted(attempts, 'attempt')}`,
            holder?.(),
          ),
          'End that session or its transaction, and run the command again: it continues from there.',
          { cause: error },
        );
      }
      await sleep(pauseAfter(attempt, 200));
    }
  }
}
