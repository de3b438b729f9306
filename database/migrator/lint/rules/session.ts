/** Transactions, settings, and what only a superuser may do. */
import type { Rule } from '../rule.ts';
import { all, dotted, is, nameOf, option, textOf } from '../tree.ts';

const limits = ['lock_timeout', 'statement_timeout'];

export const session: readonly Rule[] = [
  {
    id: 'transaction-control',
    severity: 'high',
    title: 'A migration leaves its transaction to the runner',
    why: 'a COMMIT inside it ends the transaction early: what comes after is not undone when it fails, and the ledger says something else than the schema',
    instead:
      'Leave it out. What must run outside a transaction is a TypeScript migration with pgm.noTransaction().',
    source: 'squawk transaction-nesting and ban-uncommitted-transaction',
    sections: ['up', 'down'],
    *check({ node }) {
      const transaction = is(node, 'TransactionStmt');
      if (transaction)
        yield { detail: transaction.kind?.replace('TRANS_STMT_', '').replaceAll('_', ' ') ?? 'BEGIN' };
    },
  },
  {
    id: 'timeout-off',
    severity: 'high',
    title: 'The limits of the runner stay in force',
    why: 'the runner gives every migration a lock_timeout of 5 s and a statement_timeout of 15 min: without the first, everybody queues behind a waiting ALTER TABLE',
    instead: 'Leave them, or SET LOCAL a longer one with a reason.',
    source:
      'squawk require-timeout-settings, require-lock-timeout, require-statement-timeout; the runner sets both',
    *check({ node }) {
      const set = is(node, 'VariableSetStmt');
      if (!set || !limits.includes(set.name ?? '')) return;
      const value = textOf(set.args?.[0]) ?? '';
      if (set.kind !== 'VAR_SET_VALUE' || /^0+\s*[a-z]*$/.test(value))
        yield { detail: `${set.name} is taken away` };
      else if (milliseconds(value) > (set.name === 'lock_timeout' ? 5_000 : 900_000))
        yield { detail: `${set.name} = ${value}` };
    },
  },
  {
    id: 'session-setting',
    severity: 'medium',
    title: 'A setting is made with SET LOCAL',
    why: 'a plain SET outlives the migration and changes the ones after it',
    instead: 'SET LOCAL.',
    source: 'graphile-migrate, "do not pollute global settings"',
    sections: ['up', 'down'],
    places: ['migration', 'block', 'function'],
    *check({ node }, at) {
      const set = is(node, 'VariableSetStmt');
      if (!set || set.is_local === true || set.kind === 'VAR_SET_MULTI') return;
      // Without a transaction LOCAL lasts for no longer than itself; these are the linter's own rules for limits.
      if (!at.transactional || limits.includes(set.name ?? '')) return;
      yield { detail: set.kind === 'VAR_RESET_ALL' ? 'RESET ALL' : `${set.name} for the whole session` };
    },
  },
  {
    id: 'not-repeatable',
    severity: 'high',
    title: 'A statement outside a transaction can run twice',
    why: 'what ran before a failure stays, the migration is not recorded, and its repetition fails on what is there already',
    instead: 'IF [NOT] EXISTS, OR REPLACE; or let the migration have its transaction.',
    source: 'squawk prefer-robust-stmts; reproduced with node-pg-migrate 8.0.4',
    sections: ['up', 'down'],
    *check({ node, place }, at) {
      if (at.transactional || place !== 'migration') return;
      const create =
        is(node, 'CreateStmt') ??
        is(node, 'CreateSchemaStmt') ??
        is(node, 'CreateSeqStmt') ??
        is(node, 'CreateExtensionStmt');
      if (create && create.if_not_exists !== true) yield { detail: 'CREATE without IF NOT EXISTS' };
      const drop = is(node, 'DropStmt');
      if (drop && drop.missing_ok !== true) yield { detail: 'DROP without IF EXISTS' };
      const replaced = is(node, 'CreateFunctionStmt') ?? is(node, 'ViewStmt') ?? is(node, 'CreateTrigStmt');
      if (replaced && replaced.replace !== true) yield { detail: 'CREATE without OR REPLACE' };
      for (const command of all(is(node, 'AlterTableStmt')?.cmds, 'AlterTableCmd')) {
        const adds = command.subtype === 'AT_AddColumn' || command.subtype === 'AT_AddConstraint';
        const drops = command.subtype === 'AT_DropColumn' || command.subtype === 'AT_DropConstraint';
        if ((adds || drops) && command.missing_ok !== true)
          yield { detail: `${command.subtype?.slice(3)} of what may be there or gone` };
      }
      if (is(node, 'InsertStmt') && !is(node, 'InsertStmt')?.onConflictClause)
        yield { detail: 'INSERT without ON CONFLICT' };
    },
  },
  {
    id: 'extension-as-owner',
    severity: 'high',
    title: 'Extensions are made by the login',
    why: 'Azure asks for membership in azure_pg_admin, with IF NOT EXISTS and for trusted extensions too, and llama_owner has none',
    instead: 'A migration with "-- run as: login" in its head.',
    source: 'Azure Database for PostgreSQL, How to allow extensions; decision 11a',
    sections: ['up', 'down'],
    *check({ node }, at) {
      const works = is(node, 'CreateExtensionStmt') ?? is(node, 'AlterExtensionStmt');
      if (works && at.file.runAs !== 'login')
        yield { detail: `extension ${works.extname} as ${at.role ?? 'the owner'}` };
    },
  },
  {
    id: 'not-on-azure',
    severity: 'high',
    title: 'A migration asks for nothing that only a superuser may',
    why: 'nobody is one on Azure: the statement works on a laptop and fails in the deployment',
    instead:
      'Server parameters are set in the environment file; settings of app.* only with set_config(…, true) in the transaction.',
    source: 'reproduced as a non-superuser on 15 and 18; Azure Database for PostgreSQL, Limits',
    sections: ['up', 'down'],
    *check({ node }) {
      if (is(node, 'AlterSystemStmt')) yield { detail: 'ALTER SYSTEM' };
      if (is(node, 'CreateTableSpaceStmt')) yield { detail: 'CREATE TABLESPACE' };
      if (is(node, 'CreateEventTrigStmt')) yield { detail: 'CREATE EVENT TRIGGER' };
      const copy = is(node, 'CopyStmt');
      if (copy?.filename !== undefined)
        yield { detail: `COPY with a ${copy.is_program ? 'program' : 'file'} of the server` };
      const move = is(node, 'AlterObjectSchemaStmt');
      if (move?.objectType === 'OBJECT_EXTENSION') yield { detail: 'ALTER EXTENSION … SET SCHEMA' };
      const fn = is(node, 'CreateFunctionStmt');
      if (textOf(option(fn?.options, 'language')?.arg)?.toLowerCase() === 'c')
        yield { detail: `${dotted(fn?.funcname)} is written in C` };
      const settings = [
        is(node, 'AlterRoleSetStmt')?.setstmt,
        is(node, 'AlterDatabaseSetStmt')?.setstmt,
        ...all(fn?.options, 'DefElem').map(({ arg }) => is(arg, 'VariableSetStmt')),
      ];
      for (const set of settings) {
        if (set?.name?.includes('.'))
          yield { detail: `${set.name} as a setting of a role, database or function` };
      }
    },
  },
  {
    id: 'unlogged-table',
    severity: 'high',
    title: 'Every table survives a crash',
    why: 'an unlogged table is empty after a failover, and is on no replica',
    instead: 'CREATE TABLE.',
    source: 'PostgreSQL manual, CREATE TABLE, UNLOGGED',
    *check({ node }) {
      const create = is(node, 'CreateStmt')?.relation ?? is(node, 'CreateTableAsStmt')?.into?.rel;
      if (create?.relpersistence === 'u') yield { detail: nameOf(create) };
    },
  },
];

function milliseconds(value: string): number {
  const [, number = '', unit = 'ms'] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(value) ?? [];
  const factors: Readonly<Record<string, number>> = {
    '': 1,
    us: 0.001,
    ms: 1,
    s: 1000,
    min: 60_000,
    h: 3_600_000,
    d: 86_400_000,
  };
  return Number(number) * (factors[unit.toLowerCase()] ?? 1);
}
