/** Pending migrations: what the post-deploy step at the end of the apply does to the database. */
import type { Verdict } from './judge.ts';

export interface PendingMigrations {
  /** In the order of application. */
  readonly files: readonly PendingFile[];
  /** Changes of the schema, one line per object; undefined without a manifest of the released schema. */
  readonly schema?: readonly string[];
  readonly verdicts: readonly Verdict[];
}

export interface PendingFile {
  readonly file: string;
}
