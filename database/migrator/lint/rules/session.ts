/** Transactions, settings, and statements that require a superuser. */
import { defaultLimits } from '../../load.ts';
import { changes } from '../commands.ts';
import type { Family, Rule } from '../rule.ts';
import { all, dotted, is, nameOf, option, textOf } from '../tree.ts';

/** Milliseconds up to which a migration may set these timeouts. */
const limits: Readonly<Record<string, number>> = {
  lock_timeout: defaultLimits.lockTimeout,
  statement_timeout: defaultLimits.statementTimeout,
};

const rules: readonly Rule[] = [
  {
    id: 'transaction-control',
    severity: 'high',
    title: 'Migrations contain no transaction control',
    why: 'a COMMIT ends the transaction of the migration early, so a later failure is not rolled back and the ledger contradicts the schema',
    remedy:
      'Remove it. For statements that must run outside a transaction, write a TypeScript migration with pgm.noTransaction().',
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
    title: 'The timeouts of the migration run stay in force',
    why: 'every migration runs with a lock_timeout of 5 s and a statement_timeout of 15 min; without a lock_timeout, all sessions queue behind a waiting ALTER TABLE',
    remedy: 'Keep the timeouts, or accept a longer SET LOCAL with an allowance.',
    source:
      'squawk require-timeout-settings, require-lock-timeout, require-statement-timeout; llama-db migrate sets both',
    *check({ node }) {
      const set = is(node, 'VariableSetStmt');
      if (!set || limits[set.name ?? ''] === undefined) return;
      const value = textOf(set.args?.[0]) ?? '';
      if (set.kind !== 'VAR_SET_VALUE' || /^0+\s*[a-z]*$/.test(value))
        yield { detail: `${set.name} is removed` };
      else if (milliseconds(value) > (limits[set.name ?? ''] ?? 0))
        yield { detail: `${set.name} is raised to ${value}` };
    },
  },
  {
    id: 'session-setting',
    severity: 'medium',
    title: 'Settings are changed with SET LOCAL',
    why: 'a plain SET outlasts the migration and affects later ones',
    remedy: 'Use SET LOCAL.',
    source: 'graphile-migrate, "do not pollute global settings"',
    sections: ['up', 'down'],
    places: ['migration', 'block', 'function'],
    *check({ node }, at) {
      const set = is(node, 'VariableSetStmt');
      if (!set || set.is_local === true || set.kind === 'VAR_SET_MULTI') return;
      // Without a transaction, SET LOCAL has no effect. Rule timeout-off inspects the timeouts.
      if (!at.transactional || limits[set.name ?? ''] !== undefined) return;
      yield {
        detail:
          set.kind === 'VAR_RESET_ALL' ? 'RESET ALL' : `${set.name} changes for the rest of the session`,
      };
    },
  },
  {
    id: 'not-repeatable',
    severity: 'high',
    title: 'Statements outside a transaction can be repeated',
    why: 'after a failure, the earlier statements stay in effect while the migration is not recorded, so its next run fails on existing objects',
    remedy: 'Use IF [NOT] EXISTS or OR REPLACE, or run the migration in a transaction.',
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
          yield { detail: `${command.subtype?.slice(3)} without IF [NOT] EXISTS` };
      }
      if (is(node, 'InsertStmt') && !is(node, 'InsertStmt')?.onConflictClause)
        yield { detail: 'INSERT without ON CONFLICT' };
    },
  },
  {
    id: 'extension-as-owner',
    severity: 'high',
    title: 'The login creates extensions',
    why: 'Azure requires membership in azure_pg_admin, even with IF NOT EXISTS and for trusted extensions, and llama_owner is not a member',
    remedy: 'Write a separate migration with "-- run as: login" in its head.',
    source: 'Azure Database for PostgreSQL, How to allow extensions; decision 11a',
    sections: ['up', 'down'],
    *check({ node }, at) {
      const works = is(node, 'CreateExtensionStmt') ?? is(node, 'AlterExtensionStmt');
      if (works && at.file.runAs !== 'login')
        yield { detail: `extension ${works.extname} is created or changed as ${at.role ?? 'the owner'}` };
    },
  },
  {
    id: 'not-on-azure',
    severity: 'high',
    title: 'Migrations need no superuser',
    why: 'Azure has no superuser login, so the statement works on a developer machine and fails in the deployment',
    remedy:
      'Set server parameters in the environment file, and settings of app.* only with set_config(…, true) in a transaction.',
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
    title: 'Tables are logged',
    why: 'an unlogged table is empty after a failover, and replicas do not have its rows',
    remedy: 'Remove UNLOGGED.',
    source: 'PostgreSQL manual, CREATE TABLE, UNLOGGED',
    *check(statement) {
      const { node } = statement;
      const create = is(node, 'CreateStmt')?.relation ?? is(node, 'CreateTableAsStmt')?.into?.rel;
      if (create?.relpersistence === 'u') yield { detail: `${nameOf(create)} is unlogged` };
      for (const { table, command } of changes(statement)) {
        if (command.subtype === 'AT_SetUnLogged') yield { detail: `${table} becomes unlogged` };
      }
    },
  },
];

export const family: Family = { title: 'Transactions, settings and Azure', rules };

/** Milliseconds of a setting such as `5s` or `5000`. */
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
