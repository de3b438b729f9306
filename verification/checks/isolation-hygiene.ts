/** What weakens isolation slowly: policies that pile up, look elsewhere, or guard what nobody thought secret. */
import { readsTable } from '../../database/schema/policy.ts';
import { checksOf, type Finding } from '../check.ts';
import { modelOf, nameOf, schema } from '../model.ts';
import { counted, judge } from '../outcome.ts';
import { grantsOn, reachesTenants } from '../reach.ts';

const commands = { r: 'SELECT', a: 'INSERT', w: 'UPDATE', d: 'DELETE', '*': 'ALL' } as const;

/** Names of columns that hold what nobody should read in clear. */
const secret =
  /(^|_)(password|passwd|passphrase|secret|token|api_?key|private_?key|credential|ssn|social_security|credit_?card|card_number|iban|cvv|pin)(_|$)/i;

export const checks = checksOf('isolation', [
  {
    id: 'ISO-013',
    name: 'one-permissive-policy-per-command',
    severity: 'low',
    title: 'One permissive policy decides for each role and command',
    inspects: "permissive policies of tenants' tables, by role and command",
    why: 'Permissive policies are joined by OR: each is computed for every row, and the widest of them wins.',
    remedy: 'Join them into one policy.',
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
            return [{ object: nameOf(table), detail: `${names} all decide ${commands[command]} of ${role}` }];
          }),
        );
      });
      return judge(counted(snapshot.policies.length, 'policy', 'policies'), findings);
    },
  },
  {
    id: 'ISO-014',
    name: 'policies-read-own-table-only',
    severity: 'medium',
    title: 'No policy looks into another table',
    inspects: 'FROM in the conditions of policies',
    why: 'What the other table holds then decides who sees a row: whoever may write it opens this one, its own policies apply or not by whose rights are used, and each row costs a look-up.',
    remedy: "Keep the tenant's column in the table itself and compare that.",
    source: 'pgrls SEC025; docs/decisions.md, 15',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(snapshot.policies.length, 'policy', 'policies'),
        snapshot.policies.flatMap(({ relation, name, using, check }): readonly Finding[] => {
          const table = model.relation(relation);
          const looks = [using, check].some((condition) => condition !== null && readsTable(condition));
          return table && looks
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
    severity: 'high',
    title: 'No foreign table is open to the application role',
    inspects: 'grants on foreign tables',
    why: 'Row-level security does not exist on them: every tenant reads all that the other server gives.',
    remedy: 'REVOKE, or put a view with the tenant’s condition in front.',
    source: 'splinter 0017',
    run: ({ snapshot }) => {
      const foreign = snapshot.relations.filter(({ kind }) => kind === 'f');
      return judge(
        counted(foreign.length, 'foreign table'),
        foreign
          .filter((table) => reachesTenants(snapshot, grantsOn(snapshot, table)))
          .map((table) => ({ object: nameOf(table), detail: 'the application role reaches it' })),
      );
    },
  },
  {
    id: 'ISO-041',
    name: 'secret-columns-encrypted',
    severity: 'medium',
    title: 'No column that sounds like a secret lies open',
    inspects: `names of columns in schema ${schema} whose table somebody but the owner may read`,
    why: 'Passwords, tokens and card numbers in clear are read by analysts, backups and logs alike.',
    remedy:
      'Encrypt the field in the application (docs/decisions.md, 17), or rename a column that only sounds like one.',
    source: 'splinter 0023',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const columns = snapshot.columns.flatMap((column): readonly Finding[] => {
        const table = model.relation(column.relation);
        if (!table || table.schema !== schema || !secret.test(column.name)) return [];
        const readers = table.grants.filter(
          ({ grantee, privilege }) => privilege === 'SELECT' && grantee !== table.owner,
        );
        // What is stored as bytes is taken for encrypted.
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
