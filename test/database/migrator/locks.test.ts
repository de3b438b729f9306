/** The locks that the report names are those that PostgreSQL takes. */
import { expect, it } from 'vitest';
import { readForLint } from '../../../database/migrator/lint/read.ts';
import { parseSql } from '../../../database/migrator/lint/source.ts';
import { type LockMode, lockModes, locksOf } from '../../../database/migrator/locks.ts';
import { freshDatabase } from '../../support/postgres.ts';

const setUp = `
  CREATE SCHEMA s;
  CREATE TABLE s.parents (id bigint PRIMARY KEY);
  CREATE TABLE s.rows (id bigint PRIMARY KEY, parent bigint, note text, CHECK (id > 0) NOT VALID);
  CREATE TABLE s.parted (id bigint, day date) PARTITION BY RANGE (day);
  CREATE TABLE s.leaf PARTITION OF s.parted FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE s.loose (id bigint, day date);
  CREATE INDEX rows_note ON s.rows (note);
  CREATE MATERIALIZED VIEW s.sums AS SELECT count(*) AS number FROM s.rows;
  CREATE FUNCTION s.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
  CREATE TRIGGER existing BEFORE INSERT ON s.rows FOR EACH ROW EXECUTE FUNCTION s.nothing();
  CREATE POLICY everyone ON s.rows USING (true);
`;

const statements = [
  'ALTER TABLE s.rows ADD COLUMN more text',
  'ALTER TABLE s.rows ALTER COLUMN note TYPE varchar(10)',
  'ALTER TABLE s.rows ALTER COLUMN note SET NOT NULL',
  'ALTER TABLE s.rows ALTER COLUMN note SET STATISTICS 10',
  'ALTER TABLE s.rows SET (fillfactor = 80)',
  'ALTER TABLE s.rows VALIDATE CONSTRAINT rows_id_check',
  'ALTER TABLE s.rows ADD CONSTRAINT positive CHECK (id > 0) NOT VALID',
  'ALTER TABLE s.rows ADD CONSTRAINT to_parent FOREIGN KEY (parent) REFERENCES s.parents (id)',
  'ALTER TABLE s.rows DISABLE TRIGGER existing',
  'ALTER TABLE s.rows ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE s.rows RENAME COLUMN note TO words',
  "ALTER TABLE s.parted ATTACH PARTITION s.loose FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
  'ALTER TABLE s.parted DETACH PARTITION s.leaf',
  "CREATE TABLE s.next PARTITION OF s.parted FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
  'CREATE TABLE s.children (parent bigint REFERENCES s.parents (id))',
  'CREATE INDEX rows_parent ON s.rows (parent)',
  'CREATE TRIGGER another BEFORE INSERT ON s.rows FOR EACH ROW EXECUTE FUNCTION s.nothing()',
  'CREATE POLICY nobody ON s.rows USING (false)',
  'DROP POLICY everyone ON s.rows',
  'DROP TRIGGER existing ON s.rows',
  'DROP TABLE s.loose',
  'TRUNCATE s.loose',
  'UPDATE s.rows SET note = NULL',
  'INSERT INTO s.parents VALUES (1)',
  'DELETE FROM s.loose',
  'REFRESH MATERIALIZED VIEW s.sums',
  'LOCK TABLE s.rows IN SHARE MODE',
  "COMMENT ON TABLE s.rows IS 'rows'",
  "COMMENT ON COLUMN s.rows.note IS 'a note'",
  'REINDEX TABLE s.rows',
  'CLUSTER s.rows USING rows_note',
];

it('names the strongest lock of each statement on each table', async () => {
  // Loads the parser.
  await readForLint('migrations/0003_tables.sql');
  const database = await freshDatabase();
  const client = await database.connect();
  try {
    await client.query(setUp);
    const wrong: string[] = [];
    for (const statement of statements) {
      await client.query('BEGIN');
      const { rows: before } = await client.query<{ oid: number; name: string }>(
        "SELECT c.oid, c.oid::regclass::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 's' AND c.relkind IN ('r', 'p', 'm')",
      );
      await client.query(statement);
      const { rows } = await client.query<{ oid: number; mode: LockMode }>(
        `SELECT l.relation AS oid, upper(regexp_replace(replace(l.mode, 'Lock', ''), '(?<=[a-z])(?=[A-Z])', ' ', 'g')) AS mode
           FROM pg_locks AS l WHERE l.pid = pg_backend_pid() AND l.relation = ANY ($1)`,
        [before.map(({ oid }) => oid)],
      );
      await client.query('ROLLBACK');
      const strongest = new Map<string, number>();
      for (const { oid, mode } of rows) {
        const on = before.find((one) => one.oid === oid)?.name ?? '';
        const rank = lockModes.indexOf(mode);
        if (rank >= 0) strongest.set(on, Math.max(rank, strongest.get(on) ?? -1));
      }
      const { statements: parsed } = parseSql(statement, 1, 'up');
      const named = new Map(locksOf(parsed).map(({ on, mode }) => [on, lockModes.indexOf(mode)]));
      for (const [on, rank] of strongest)
        if (named.get(on) !== rank)
          wrong.push(`${statement}: ${on} ${lockModes[rank]}, and not ${lockModes[named.get(on) ?? -1]}`);
      for (const [on] of named)
        if (!strongest.has(on) && on !== 's.next' && on !== 's.children')
          wrong.push(`${statement}: ${on} is not locked`);
    }
    expect(wrong).toEqual([]);
  } finally {
    await database.drop();
  }
});
