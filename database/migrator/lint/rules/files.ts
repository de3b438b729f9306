/** Files as a whole, and what they say to the lint itself; lint.ts finds these, statement by statement nothing does. */
import type { Rule } from '../rule.ts';

const nothing = () => [];

export const files: readonly Rule[] = [
  {
    id: 'syntax-error',
    severity: 'critical',
    title: "PostgreSQL's parser accepts the file, or Node loads it",
    why: 'the migration fails, and nothing after the error was looked at',
    instead: 'Mend it.',
    source: 'the parser of PostgreSQL 18 (libpg-query)',
    check: nothing,
  },
  {
    id: 'no-down',
    severity: 'medium',
    title: 'A migration can be taken back',
    why: 'llama-db rollback stops at a file that does not say how',
    instead: 'Write "-- Down Migration" and what undoes it, or export down(pgm).',
    source: 'decision 24',
    check: nothing,
  },
  {
    id: 'allowance-unused',
    severity: 'medium',
    title: 'An allowance allows something',
    why: 'one that is left over hides the next mistake of its kind',
    instead: 'Take it out, or put it next to the statement.',
    source: 'squawk unused-ignore',
    check: nothing,
  },
  {
    id: 'allowance-without-reason',
    severity: 'high',
    title: 'An allowance says why',
    why: 'whoever reads it next cannot tell whether it still holds',
    instead: '-- lint allow <rule>: <reason>',
    source: 'strong_migrations safety_assured, which wants none',
    check: nothing,
  },
  {
    id: 'allowance-of-no-rule',
    severity: 'medium',
    title: 'An allowance names a rule',
    why: 'it allows nothing',
    instead: 'llama-db lint --rules lists them.',
    source: 'squawk unused-ignore',
    check: nothing,
  },
];
