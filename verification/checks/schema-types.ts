/** Types and names that work today and fail later. */
import { checksOf, type Finding } from '../check.ts';
import { auditTable, modelOf, nameOf, schema } from '../model.ts';
import { counted, judge } from '../outcome.ts';

/** Created by node-pg-migrate with a serial key, which a few rows per year do not exhaust. */
const runnersTable = 'pgmigrations';

/** One sequence numbers the rows of all months, and only the audit role may use it: AUD-016 inspects it. */
const sealedOrder = `${auditTable}.sequence`;

/** NAMEDATALEN minus one: PostgreSQL truncates longer names without an error. */
const longestName = 63;

export const checks = checksOf('schema', [
  {
    id: 'SCM-010',
    name: 'columns-survive-upgrade',
    loses: 'upkeep',
    title: 'No column has a type that a major upgrade refuses',
    inspects: 'columns of types regclass, regproc, regtype and the like',
    why: 'Their values are object ids of one cluster: pg_upgrade, which Azure uses for major upgrades, refuses a database that stores them.',
    remedy: 'Store the name as text.',
    source: 'splinter 0018; PostgreSQL manual, pg_upgrade',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(snapshot.columns.length, 'column'),
        snapshot.columns.flatMap(({ relation, name, type }): readonly Finding[] => {
          const table = model.relation(relation);
          return table &&
            'rp'.includes(table.kind) &&
            /^reg(class|proc|procedure|oper|operator|config|dictionary|collation|namespace)(\[\])?$/.test(
              type,
            )
            ? [{ object: `${nameOf(table)}.${name}`, detail: `is of type ${type}` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'SCM-011',
    name: 'identity-columns-bigint',
    loses: 'upkeep',
    title: 'Numbered columns are bigint identity columns',
    inspects: 'integer and smallint columns with a sequence, and defaults that call nextval, in schema llama',
    why: 'Two billion numbers are exhausted in the busiest table first. The sequence of a serial column needs its own owner and grants.',
    remedy: 'Use bigint GENERATED ALWAYS AS IDENTITY.',
    source: 'squawk prefer-bigint-over-int and prefer-identity; pgdoctor pk-types',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const own = snapshot.columns.flatMap((column) => {
        const table = model.relation(column.relation);
        return table?.schema === schema && table.name !== runnersTable ? [{ column, table }] : [];
      });
      return judge(
        counted(own.length, 'column'),
        own.flatMap(({ column: { name, type, expression, identity }, table }): readonly Finding[] => {
          const serial = /^nextval\(/.test(expression ?? '');
          if (!serial && !identity) return [];
          const object = `${nameOf(table)}.${name}`;
          if (type !== 'bigint') return [{ object, detail: `is numbered but of type ${type}` }];
          return serial && object !== sealedOrder
            ? [{ object, detail: 'takes its numbers from a separate sequence with nextval' }]
            : [];
        }),
      );
    },
  },
  {
    id: 'SCM-012',
    name: 'names-not-truncated',
    loses: 'clarity',
    title: 'No name was truncated',
    inspects: `names of ${longestName} bytes: relations, columns, policies, constraints and functions, except leaves`,
    why: 'PostgreSQL truncates a longer name with a notice that nobody reads: the object does not have the name in its migration, and the next name with the same beginning collides.',
    remedy: 'Give it a shorter name.',
    source: 'squawk identifier-too-long',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const long = (name: string) => Buffer.byteLength(name) >= longestName;
      const named = [
        ...snapshot.relations.filter(({ parent }) => parent === null).map(({ name }) => ['relation', name]),
        ...snapshot.columns.map(({ name }) => ['column', name]),
        ...snapshot.policies.map(({ name }) => ['policy', name]),
        ...snapshot.constraints.map(({ name }) => ['constraint', name]),
        ...snapshot.indexes.filter(({ parent }) => parent === null).map(({ name }) => ['index', name]),
        ...snapshot.functions.map(({ name }) => ['function', name]),
      ] as const;
      const detached = new Set(model.detached.map(({ name }) => name));
      return judge(
        counted(named.length, 'name'),
        named
          .filter(([, name]) => name !== undefined && long(name) && !detached.has(name))
          .map(([kind, name]) => ({
            object: `${kind} ${name}`,
            detail: `has ${longestName} bytes, so it was probably truncated`,
          })),
      );
    },
  },
]);
