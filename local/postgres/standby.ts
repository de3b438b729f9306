import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import { within } from './bootstrap.ts';

const run = promisify(execFile);

export interface BaseBackup {
  /** To be written into the copy as `backup_label`, which makes the server recover from the right place. */
  readonly label: string;
}

/**
 * Copies a running server's data directory by PostgreSQL's own protocol for it.
 *
 * https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 */
export async function copyBase(primary: pg.ClientConfig, from: string, to: string): Promise<BaseBackup> {
  return within(primary, async (client) => {
    await client.query("SELECT pg_backup_start('standby', fast => true)");
    await copyFolder(from, to);
    const { rows } = await client.query<{ labelfile: string }>(
      'SELECT labelfile FROM pg_backup_stop(wait_for_archive => false)',
    );
    // A standby is sent the end of the log; whoever goes its own way needs it here.
    await copyFolder(join(from, 'pg_wal'), join(to, 'pg_wal'));
    for (const file of ['postmaster.pid', 'postmaster.opts']) rmSync(join(to, file), { force: true });
    return { label: rows[0]?.labelfile ?? '' };
  });
}

/** A file that goes away meanwhile is no fault of the copy: the log replays its end, and once more is enough. */
async function copyFolder(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run('cp', ['-a', `${from}/.`, to]);
      return;
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

/** Lets a standby take writes, and waits until it does. */
export async function promote(standby: pg.ClientConfig): Promise<void> {
  await within(standby, async (client) => {
    const { rows } = await client.query<{ promoted: boolean }>('SELECT pg_promote(true, 60) AS promoted');
    if (!rows[0]?.promoted) throw new Error('the standby did not end its recovery within 60 seconds');
  });
}
