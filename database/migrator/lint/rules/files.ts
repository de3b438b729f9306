/** Files as a whole, and their allowances. */
import type { Family, Rule } from '../rule.ts';

const rules: readonly Rule[] = [
  {
    id: 'syntax-error',
    severity: 'critical',
    title: 'The parser of PostgreSQL accepts the file, or Node.js loads it',
    why: 'the migration would fail, and the rest of the file is not linted',
    remedy:
      'Correct the statement at this line. An .sql file needs valid PostgreSQL under "-- Up Migration"; a .ts file must load and export a function up(pgm).',
    source: 'the parser of PostgreSQL 18 (libpg-query)',
    *checkFile({ errors }) {
      for (const { line, message } of errors) yield { line, detail: message };
    },
  },
  {
    id: 'no-down',
    severity: 'medium',
    title: 'A migration can be rolled back',
    why: 'llama-db rollback stops at a file without a Down section',
    remedy: 'Add "-- Down Migration" with statements that undo the migration, or export down(pgm).',
    source: 'decision 24',
    *checkFile({ hasDown }) {
      if (!hasDown) yield { line: 1, detail: 'the file has no Down section' };
    },
  },
  {
    id: 'allowance-unused',
    severity: 'medium',
    title: 'Every allowance accepts a finding',
    why: 'an unused allowance would hide the next violation of its rule',
    remedy: 'Remove it, or move it next to the statement.',
    source: 'squawk unused-ignore',
    checkAllowance: ({ rule, reason, known, used }) =>
      known && reason !== '' && !used ? `${rule} finds nothing here` : undefined,
  },
  {
    id: 'allowance-without-reason',
    severity: 'high',
    title: 'Every allowance has a reason',
    why: 'without a reason, a later reader cannot judge whether it still holds',
    remedy: 'Write -- lint allow <rule>: <reason>.',
    source: 'strong_migrations safety_assured, which takes no reason',
    checkAllowance: ({ rule, reason, known }) =>
      known && reason === '' ? `the allowance of ${rule} has no reason` : undefined,
  },
  {
    id: 'allowance-of-no-rule',
    severity: 'medium',
    title: 'Every allowance names an existing rule',
    why: 'an allowance of an unknown rule has no effect',
    remedy: 'Use an id from llama-db lint --rules.',
    source: 'squawk unused-ignore',
    checkAllowance: ({ rule, known }) => (known ? undefined : `rule "${rule}" does not exist`),
  },
];

export const family: Family = { title: 'Files and allowances', rules };
