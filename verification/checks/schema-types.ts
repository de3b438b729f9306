/** Types and names that hold today and fail later. */
import { checksOf, type Finding } from '../check.ts';
import { auditTable, modelOf, nameOf, schema } from '../model.ts';
import { counted, judge } from '../outcome.ts';

/** node-pg-migrate makes it, with a serial key; a few rows a year do not run out of it. */
const runnersTable = 'pgmigrations';

/** One sequence numbers the rows of all months; AUD-016 looks at it, and only the trail's writer may use it. */
const sealedOrder = `${auditTable}.sequence`;

/** NAMEDATALEN less one: what is longer is cut without an error. */
const longestName = 63;

export const checks = checksOf('schema', [
  {
    id: 'SCM-010',
    name: 'columns-survive-upgrade',
    severity: 'medium',
    title: 'No column holds what an upgrade cannot carry over',
    inspects: 'columns of types regclass, regproc, regtype and the like',
    why: 'Their values are numbers of one cluster’s catalogs: pg_upgrade refuses a database that stores them, and Azure’s major upgrade is one.',
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
    severity: 'low',
    title: 'What is numbered has room, and its numbers are its own',
    inspects: 'integer and smallint columns with a sequence, and defaults that call nextval, in schema llama',
    why: 'Two thousand million numbers run out in the busiest table first; a serial column leaves its sequence to be granted and owned apart.',
    remedy: 'bigint GENERATED ALWAYS AS IDENTITY.',
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
          if (type !== 'bigint') return [{ object, detail: `is numbered and of type ${type}` }];
          return serial && object !== sealedOrder
            ? [{ object, detail: 'takes its numbers from a sequence of its own by nextval' }]
            : [];
        }),
      );
    },
  },
  {
    id: 'SCM-012',
    name: 'names-not-truncated',
    severity: 'low',
    title: 'No name was cut',
    inspects: `names of ${longestName} bytes: relations, columns, policies, constraints and functions, leaves excepted`,
    why: 'PostgreSQL cuts a longer name with a notice nobody reads: the object has another name than its migration says, and the next one that is cut alike collides.',
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
            detail: `has ${longestName} bytes: it was cut`,
          })),
      );
    },
  },
]);
