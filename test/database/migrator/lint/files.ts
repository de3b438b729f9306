/** A temporary folder with migration files for the lint. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LintOptions, type LintResult, lint } from '../../../../database/migrator/lint/lint.ts';

/** The schema before the file under test. `events` and `records` are large, `records` holds tenant rows, the size of `plain` is unknown. */
export const base = `-- Up Migration
CREATE TABLE llama.events (id bigint NOT NULL, kind text NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE INDEX events_kind ON llama.events (kind);
CREATE TABLE llama.records (
  tenant_id text NOT NULL, id uuid NOT NULL, at timestamptz NOT NULL, note text,
  CONSTRAINT records_pkey PRIMARY KEY (tenant_id, id, at)
) PARTITION BY RANGE (at);
ALTER TABLE llama.records ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY floor ON llama.records AS RESTRICTIVE TO application_role USING (tenant_id = 'x');
GRANT SELECT, INSERT (tenant_id, id), UPDATE (note) ON llama.records TO application_role;
GRANT SELECT ON llama.records TO admin_role, analytics_role;
CREATE TABLE llama.plain (a bigint, b text);
CREATE SEQUENCE llama.audit_sequence;
CREATE TABLE llama.storage_records (tenant_id text NOT NULL);
CREATE TABLE llama.audit_trail (tenant_id text NOT NULL, sequence bigint);
INSERT INTO llama.partitioned_tables (table_name) VALUES ('events');
SELECT llama.create_partitions_ahead();
CREATE MATERIALIZED VIEW llama.summary AS SELECT kind FROM llama.events WITH NO DATA;
CREATE FUNCTION llama.known() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION llama.write_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ BEGIN INSERT INTO llama.audit_trail VALUES (NEW.tenant_id); RETURN NULL; END $$;
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.records FOR EACH STATEMENT EXECUTE FUNCTION llama.known();
`;

export interface LintFolder {
  readonly directory: string;
  /** @returns its path */
  write(name: string, content: string): string;
  remove(name: string): void;
  /** Lints one file after the base. */
  lint(path: string, options?: Partial<LintOptions>): Promise<LintResult>;
  drop(): void;
}

export function lintFolder(): LintFolder {
  const home = mkdtempSync(join(tmpdir(), 'llama-db-lint-'));
  const write = (name: string, content: string) => {
    const path = join(home, name);
    writeFileSync(path, content);
    return path;
  };
  write('package.json', '{ "type": "module" }');
  for (const room of ['core', 'database', 'runtime']) {
    symlinkSync(join(import.meta.dirname, '../../../..', room), join(home, room));
  }
  const before = write('0001_base.sql', base);
  return {
    directory: home,
    write,
    remove: (name) => rmSync(join(home, name)),
    lint: (path, options) => lint({ files: [path], before: [before], ...options }),
    drop: () => rmSync(home, { recursive: true, force: true }),
  };
}

export interface Case {
  /** Up section of the next file. */
  readonly next?: string;
  /** Text above "-- Up Migration". */
  readonly head?: string;
  readonly up?: string;
  /** @default 'SELECT 1;' */
  readonly down?: string | null;
  /** Text of a TypeScript migration, which replaces the other members. */
  readonly ts?: string;
}

export function contentOf({ head = '', up = 'SELECT 1;', down = 'SELECT 1;', ts }: Case): {
  content: string;
  kind: 'sql' | 'ts';
} {
  if (ts !== undefined) return { kind: 'ts', content: ts };
  const rest = down === null ? '' : `-- Down Migration\n${down}\n`;
  return { kind: 'sql', content: `${head}-- Up Migration\n${up}\n${rest}` };
}
