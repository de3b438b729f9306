import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import { within } from './bootstrap.ts';

const run = promisify(execFile);

export interface BaseBackup {
  /** Content of the copy's `backup_label` file, which names the position from which the server recovers. */
  readonly label: string;
}

/**
 * Copies the data directory of a running server with PostgreSQL's low-level backup functions.
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
    // A standby receives the end of the log; an independent copy needs it here.
    await copyFolder(join(from, 'pg_wal'), join(to, 'pg_wal'));
    for (const file of ['postmaster.pid', 'postmaster.opts']) rmSync(join(to, file), { force: true });
    return { label: rows[0]?.labelfile ?? '' };
  });
}

/** Copies again if a file disappears meanwhile, which the log replays. At most three attempts. */
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

/** Promotes a standby, and waits until it accepts writes. @throws Error after 60 seconds */
export async function promote(standby: pg.ClientConfig): Promise<void> {
  await within(standby, async (client) => {
    const { rows } = await client.query<{ promoted: boolean }>('SELECT pg_promote(true, 60) AS promoted');
    if (!rows[0]?.promoted) throw new Error('the standby has not ended its recovery within 60 seconds');
  });
}
