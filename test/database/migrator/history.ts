/** A database and a folder of migrations that a test writes, with functions to apply and undo them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reporter } from '../../../core/report.ts';
import { type Connection, connect } from '../../../database/connection.ts';
import { withLock } from '../../../database/migrator/lock.ts';
import { type MigrateOptions, migrate } from '../../../database/migrator/migrate.ts';
import { type RollbackOptions, rollback } from '../../../database/migrator/rollback.ts';
import { resolveTarget } from '../../../database/target.ts';
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts';

export interface History {
  readonly database: TestDatabase;
  readonly directory: string;
  /** Reported lines, including warnings. */
  readonly lines: string[];
  readonly reporter: Reporter;
  write(name: string, content: string): void;
  remove(name: string): void;
  connect(): Promise<Connection>;
  /** Applies pending migrations, as the command does. */
  migrate(options?: Partial<MigrateOptions>): Promise<string[]>;
  rollback(options?: Partial<RollbackOptions>): Promise<string[]>;
  /** Rows of a query as the superuser. */
  rows<Row extends object = Record<string, unknown>>(sql: string): Promise<Row[]>;
  drop(): Promise<void>;
}

export async function newHistory(): Promise<History> {
  const database = await freshDatabase();
  const directory = mkdtempSync(join(tmpdir(), 'llama-db-history-'));
  const lines: string[] = [];
  const reporter: Reporter = { line: (text) => lines.push(text), warn: (text) => lines.push(text) };
  const open = async () => connect(await resolveTarget({ url: database.url() }, {}));
  const locked = async <Result>(work: (connection: Connection) => Promise<Result>) => {
    const connection = await open();
    try {
      return await withLock(connection, { reporter }, () => work(connection));
    } finally {
      await connection.close();
    }
  };
  const names = (files: readonly { readonly name: string }[]) => files.map(({ name }) => name);
  return {
    database,
    directory,
    lines,
    reporter,
    write: (name, content) => writeFileSync(join(directory, name), content),
    remove: (name) => rmSync(join(directory, name)),
    connect: open,
    migrate: async (options) =>
      names(
        await locked((connection) =>
          migrate(connection, { reporter, migrationsDirectory: directory, ...options }),
        ),
      ),
    rollback: async (options) =>
      names(
        await locked((connection) =>
          rollback(connection, { reporter, migrationsDirectory: directory, ...options }),
        ),
      ),
    rows: <Row extends object>(sql: string) =>
      database.query<Row & Record<string, unknown>>('superuser', sql),
    async drop() {
      rmSync(directory, { recursive: true, force: true });
      await database.drop();
    },
  };
}

/** A migration that creates a table with a column `note`, and drops it on rollback. */
export function makesTable(name: string, header = ''): string {
  return `${header}-- Up Migration
CREATE TABLE llama.${name} (note text);
-- Down Migration
DROP TABLE llama.${name};
`;
}
