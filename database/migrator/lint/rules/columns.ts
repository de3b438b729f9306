/** Types and names of columns. */

import { longestName } from '../../../indexes/partitioned-index.ts';
import { has, newColumns } from '../commands.ts';
import { Lines } from '../lines.ts';
import type { Family, Rule } from '../rule.ts';
import { isComment, tokensOf } from '../tokens.ts';
import { all, is, nameOf, typeOf } from '../tree.ts';

const smallTypes = ['int4', 'int2', 'serial', 'serial4', 'smallserial', 'serial2'];

/** Spares the scan of most statements: 63 bytes are at least 16 characters. */
const mayHaveLongName = /"[^"]{16}|[\p{L}\p{N}_$]{16}/u;

const rules: readonly Rule[] = [
  {
    id: 'json-column',
    severity: 'medium',
    title: 'JSON columns have the type jsonb',
    why: 'json has no equality operator, so SELECT DISTINCT, GROUP BY and UNION of such rows fail, and no index supports it',
    remedy: 'Use jsonb.',
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
    title: 'Columns for instants have the type timestamptz',
    why: 'a timestamp without time zone means a different instant in each session time zone, and shifts by an hour twice a year',
    remedy: 'Use timestamptz.',
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
    title: 'Numbering columns are identity columns',
    why: 'serial creates a sequence with its own grants and owner, which later changes of the table miss',
    remedy: 'Use bigint GENERATED ALWAYS AS IDENTITY.',
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
    title: 'Numeric keys have the type bigint',
    why: 'an integer key is exhausted after 2,147,483,647 rows, and a change of its type rewrites the table',
    remedy: 'Use bigint or uuid.',
    source: 'squawk prefer-bigint-over-int and prefer-bigint-over-smallint',
    *check(statement) {
      for (const { table, column } of newColumns(statement)) {
        const counts = has(column, 'CONSTR_IDENTITY') ?? has(column, 'CONSTR_PRIMARY');
        const small = smallTypes.includes(typeOf(column.typeName));
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
    title: 'Names have at most 63 bytes',
    why: 'PostgreSQL truncates longer names without an error, so two names that differ only after 63 bytes become one',
    remedy: 'Choose a shorter name.',
    source: 'squawk identifier-too-long',
    sections: ['up', 'down'],
    *check(statement) {
      if (statement.place !== 'migration' || !mayHaveLongName.test(statement.text)) return;
      const lines = new Lines(Buffer.from(statement.text), statement.line);
      for (const { text, start } of tokensOf(statement.text)) {
        if (isComment({ tokenName: '', text, start, end: start }) || !/^("|[\p{L}_])/u.test(text)) continue;
        const name = text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
        if (Buffer.byteLength(name) <= longestName) continue;
        yield { detail: `${name} has ${Buffer.byteLength(name)} bytes`, line: lines.at(start) };
      }
    },
  },
];

export const family: Family = { title: 'Columns and names', rules };
