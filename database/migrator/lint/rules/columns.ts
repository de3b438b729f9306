/** Types and names that are wrong from the first row on. */
import type { Rule } from '../rule.ts';
import { isComment, tokensOf } from '../tokens.ts';
import { all, is, nameOf, typeOf } from '../tree.ts';
import { has, newColumns } from './common.ts';

export const columns: readonly Rule[] = [
  {
    id: 'json-column',
    severity: 'medium',
    title: 'JSON is stored as jsonb',
    why: 'json has no equality: SELECT DISTINCT, GROUP BY and UNION of such a row fail, and it takes no index',
    instead: 'jsonb.',
    source: 'strong_migrations "adding a json column"',
    *check(statement) {
      for (const { table, column } of newColumns(statement)) {
        if (typeOf(column.typeName) === 'json')
          yield { detail: `${table}.${column.colname}`, location: column.location };
      }
    },
  },
  {
    id: 'timestamp-without-time-zone',
    severity: 'medium',
    title: 'An instant is a timestamptz',
    why: 'a plain timestamp means another instant in each session, and changes by an hour twice a year',
    instead: 'timestamptz.',
    source: 'squawk prefer-timestamp-tz',
    *check(statement) {
      for (const { table, column } of newColumns(statement)) {
        if (typeOf(column.typeName) === 'timestamp')
          yield { detail: `${table}.${column.colname}`, location: column.location };
      }
    },
  },
  {
    id: 'serial-column',
    severity: 'low',
    title: 'A column that numbers itself is an identity column',
    why: 'serial leaves a sequence with grants and an owner of its own, which are forgotten',
    instead: 'bigint GENERATED ALWAYS AS IDENTITY.',
    source: 'squawk prefer-identity',
    *check({ node }) {
      const create = is(node, 'CreateStmt');
      for (const column of all(create?.tableElts, 'ColumnDef')) {
        if (!/serial/.test(typeOf(column.typeName))) continue;
        yield { detail: `${nameOf(create?.relation)}.${column.colname}`, location: column.location };
      }
    },
  },
  {
    id: 'small-key',
    severity: 'medium',
    title: 'A key that counts is a bigint',
    why: 'an integer is full after 2,147,483,647 rows, and changing it writes the table anew',
    instead: 'bigint, or uuid.',
    source: 'squawk prefer-bigint-over-int and prefer-bigint-over-smallint',
    *check(statement) {
      for (const { table, column } of newColumns(statement)) {
        const counts = has(column, 'CONSTR_IDENTITY') ?? has(column, 'CONSTR_PRIMARY');
        const small = ['int4', 'int2', 'serial', 'serial4', 'smallserial', 'serial2'].includes(
          typeOf(column.typeName),
        );
        if (counts && small)
          yield {
            detail: `${table}.${column.colname} is ${typeOf(column.typeName)}`,
            location: column.location,
          };
      }
    },
  },
  {
    id: 'identifier-too-long',
    severity: 'medium',
    title: 'A name has 63 bytes at most',
    why: 'PostgreSQL cuts it without an error, and two names that differ only behind that are one',
    instead: 'Shorten it.',
    source: 'squawk identifier-too-long',
    sections: ['up', 'down'],
    *check(statement) {
      if (statement.place !== 'migration') return;
      for (const { text, start } of tokensOf(statement.text)) {
        if (isComment({ tokenName: '', text, start, end: start }) || !/^("|[\p{L}_])/u.test(text)) continue;
        const name = text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
        if (Buffer.byteLength(name) <= 63) continue;
        const line =
          statement.line + Buffer.from(statement.text).toString('utf8', 0, start).split('\n').length - 1;
        yield { detail: `${name} has ${Buffer.byteLength(name)} bytes`, line };
      }
    },
  },
];
