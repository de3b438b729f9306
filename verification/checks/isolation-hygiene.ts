/** Habits that weaken isolation over time: overlapping policies, policies over other tables, readable secrets. */
import { readsTable } from '../../database/schema/policy.ts';
import { checksOf, type Finding } from '../check.ts';
import { modelOf, nameOf, schema } from '../model.ts';
import { counted, judge } from '../outcome.ts';
import { grantsOn, reachesTenants } from '../reach.ts';

const commands = { r: 'SELECT', a: 'INSERT', w: 'UPDATE', d: 'DELETE', '*': 'ALL' } as const;

/** Names of columns that hold secrets. */
const secret =
  /(^|_)(password|passwd|passphrase|secret|token|api_?key|private_?key|credential|ssn|social_security|credit_?card|card_number|iban|cvv|pin)(_|$)/i;

export const checks = checksOf('isolation', [
  {
    id: 'ISO-013',
    name: 'one-permissive-policy-per-command',
    loses: 'clarity',
    title: 'One permissive policy decides per role and command',
    inspects: 'permissive policies of tenant tables, by role and command',
    why: 'Permissive policies are joined by OR: the server evaluates each of them for every row, and the widest one decides.',
    remedy: 'Merge them into one policy.',
    source: 'splinter 0006; pgrls HYG003',
    run: ({ snapshot }) => {
      const findings = modelOf(snapshot).tenantTables.flatMap((table): readonly Finding[] => {
        const own = snapshot.policies.filter(
          ({ relation, permissive }) => permissive && relation === table.oid,
        );
        const roles = new Set(own.flatMap((policy) => policy.roles));
        return [...roles].flatMap((role) =>
          (['r', 'a', 'w', 'd'] as const).flatMap((command): readonly Finding[] => {
            const deciding = own.filter(
              (policy) =>
                policy.roles.includes(role) && (policy.command === '*' || policy.command === command),
            );
            if (deciding.length < 2) return [];
            const names = deciding
              .map(({ name }) => name)
              .sort()
              .join(', ');
            return [
              { object: nameOf(table), detail: `${names} decide ${commands[command]} of ${role} together` },
            ];
          }),
        );
      });
      return judge(counted(snapshot.policies.length, 'policy', 'policies'), findings);
    },
  },
  {
    id: 'ISO-014',
    name: 'policies-read-own-table-only',
    loses: 'barrier',
    title: 'No policy reads another table',
    inspects: 'tables in the conditions of policies',
    why: 'The other table then decides who sees a row: a role that may write it opens this table. Whether its own policies apply depends on the role that reads, and every row costs a lookup.',
    remedy: 'Keep the tenant column in the table itself and compare that.',
    source: 'pgrls SEC025; docs/decisions.md, 15',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(snapshot.policies.length, 'policy', 'policies'),
        snapshot.policies.flatMap(({ relation, name, using, check }): readonly Finding[] => {
          const table = model.relation(relation);
          const reads = [using, check].some((condition) => condition !== null && readsTable(condition));
          return table && reads
            ? [
                {
                  object: `policy ${name} on ${nameOf(table)}`,
                  detail: `reads another table: ${using ?? check}`,
                },
              ]
            : [];
        }),
      );
    },
  },
  {
    id: 'ISO-015',
    name: 'foreign-tables-closed-to-tenants',
    loses: 'barrier',
    title: 'No tenant role has privileges on a foreign table',
    inspects: 'grants on foreign tables',
    why: 'Foreign tables have no row-level security: every tenant reads everything that the other server returns.',
    remedy: 'REVOKE the privilege, or put a view with the tenant condition in front of the table.',
    source: 'splinter 0017',
    run: ({ snapshot }) => {
      const foreign = snapshot.relations.filter(({ kind }) => kind === 'f');
      return judge(
        counted(foreign.length, 'foreign table'),
        foreign
          .filter((table) => reachesTenants(snapshot, grantsOn(snapshot, table)))
          .map((table) => ({ object: nameOf(table), detail: 'a tenant role has a privilege on it' })),
      );
    },
  },
  {
    id: 'ISO-041',
    name: 'secret-columns-encrypted',
    loses: 'barrier',
    title: 'Columns with the name of a secret are encrypted or readable by the owner only',
    inspects: `names of columns in schema ${schema} on whose table another role than the owner has SELECT`,
    why: 'Analysts, backups and logs see passwords, tokens and card numbers that are stored in clear.',
    remedy:
      'Encrypt the field in the application (docs/decisions.md, 17), or rename a column that holds no secret.',
    source: 'splinter 0023',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const columns = snapshot.columns.flatMap((column): readonly Finding[] => {
        const table = model.relation(column.relation);
        if (!table || table.schema !== schema || !secret.test(column.name)) return [];
        const readers = table.grants.filter(
          ({ grantee, privilege }) => privilege === 'SELECT' && grantee !== table.owner,
        );
        // A column of bytes counts as encrypted.
        if (readers.length === 0 || column.type === 'bytea') return [];
        return [
          {
            object: `${nameOf(table)}.${column.name}`,
            detail: `is readable by ${readers
              .map(({ grantee }) => grantee)
              .sort()
              .join(', ')}`,
          },
        ];
      });
      return judge(counted(snapshot.columns.length, 'column'), columns);
    },
  },
]);
