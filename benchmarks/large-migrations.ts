/** Large migrations, each with many of one thing, to measure how the time of the lint grows. */
const lines = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n)).join('\n');

const sql = (up: string) => ({
  kind: 'sql',
  content: `-- Up Migration\n${up}\n-- Down Migration\nSELECT 1;\n`,
});
const module = (up: string) => ({
  kind: 'ts',
  content: `export async function up(pgm) {\n${up}\n}\nexport async function down() {}\n`,
});

export interface LargeMigration {
  readonly kind: string;
  readonly content: string;
}

export const largeMigrations: Readonly<Record<string, (count: number) => LargeMigration>> = {
  INSERTs: (count) => sql(lines(count, (n) => `INSERT INTO llama.plain (a) VALUES (${n});`)),
  'comment lines': (count) => sql(`${lines(count * 4, (n) => `-- ${n}`)}\nSELECT 1;`),
  'empty comment lines': (count) => sql(`${lines(count * 4, () => '--')}\nSELECT 1;`),
  'comments after statements': (count) => sql(lines(count, (n) => `SELECT ${n}; -- ${n}`)),
  'statements in a DO block': (count) =>
    sql(`DO $$\nBEGIN\n${lines(count, (n) => `  PERFORM ${n}; -- ${n}`)}\nEND $$;`),
  'statements in an SQL function': (count) =>
    sql(
      `CREATE FUNCTION llama.f() RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$\n${lines(count, (n) => `SELECT ${n} FROM plain; -- ${n}`)}\n$$;`,
    ),
  'statements in a standard body': (count) =>
    sql(
      `CREATE FUNCTION llama.f() RETURNS void LANGUAGE sql BEGIN ATOMIC\n${lines(count, (n) => `SELECT ${n};`)}\nEND;`,
    ),
  'dropped triggers': (count) => sql(lines(count, (n) => `DROP TRIGGER t${n} ON llama.plain;`)),
  'validated constraints': (count) =>
    sql(lines(count, (n) => `ALTER TABLE llama.plain VALIDATE CONSTRAINT c${n};`)),
  'attached tables': (count) =>
    sql(
      lines(
        count,
        (n) =>
          `ALTER TABLE llama.events ATTACH PARTITION llama.e${n} FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-02-01 00:00:00+00');`,
      ),
    ),
  'definer functions': (count) =>
    sql(
      lines(
        count,
        (n) =>
          `CREATE FUNCTION llama.f${n}() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp AS 'SELECT 1';`,
      ),
    ),
  'long names': (count) => sql(`SELECT ${lines(count, (n) => `1 AS ${'x'.repeat(64)}${n},`)}\n1;`),
  allowances: (count) =>
    sql(lines(count, (n) => `-- lint allow truncate: reason ${n}\nTRUNCATE llama.plain;`)),
  'calls of a TypeScript migration': (count) =>
    module(lines(count, (n) => `// lint allow truncate: reason ${n}\npgm.sql('TRUNCATE llama.plain');`)),
};
