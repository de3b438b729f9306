import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { attempt, rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import { groupRoles, modelOf, owner, schema, signatureOf } from '../model.ts';
import { blind, counted, judge, skip } from '../outcome.ts';

const breakGlass = ['encryption_key', 'encrypt_sensitive_data', 'decrypt_sensitive_data'] as const;
const mayCall = 'admin_role';

/** Names of settings that hold a key. */
const keyLike = /^app\..*(key|secret|password)/i;

export const checks = checksOf('encryption', [
  {
    id: 'ENC-001',
    name: 'break-glass-functions-admin-only',
    loses: 'secrets',
    title: 'Only administrators may call the break-glass encryption functions',
    inspects: `EXECUTE on ${breakGlass.map((name) => `${schema}.${name}`).join(', ')}`,
    why: 'Applications encrypt in Node, where keys never reach the server. A tenant that can call these functions can try keys and read the errors.',
    remedy: `REVOKE EXECUTE ON FUNCTION … FROM the role; only ${mayCall} needs it.`,
    source: 'docs/decisions.md, 17',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const functions = snapshot.functions.filter(
        (routine) => routine.schema === schema && breakGlass.some((name) => name === routine.name),
      );
      if (functions.length === 0) return skip('the functions do not exist');
      const others = groupRoles.filter((role) => role !== mayCall && role !== owner);
      return judge(
        counted(functions.length, 'function'),
        functions.flatMap((routine): Finding[] => {
          const open = others.filter((role) => {
            const rights = model.rightsOf(role);
            // ISO-025 reports functions that PUBLIC may execute.
            return routine.grants.some(({ grantee }) => grantee !== 'PUBLIC' && rights.has(grantee));
          });
          return open.length > 0
            ? [{ object: signatureOf(routine), detail: `${open.join(', ')} may execute it` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'ENC-002',
    name: 'break-glass-functions-work',
    loses: 'recovery',
    title: 'The break-glass functions encrypt, name their key and reject another key',
    inspects: 'a round trip with a random key, as admin_role, in a transaction that is rolled back',
    why: 'Functions that are only called in an emergency must be known to work before it.',
    remedy:
      'Compare the functions with migrations/0009_encryption.sql, and check that pgcrypto is in schema extensions.',
    source: 'docs/decisions.md, 17',
    run: roundTrip,
  },
  {
    id: 'ENC-003',
    name: 'no-key-in-settings',
    loses: 'secrets',
    title: 'No role or database setting contains a key',
    inspects: 'names in pg_db_role_setting that look like a key, secret or password',
    why: 'Every role that can connect may read pg_db_role_setting, and every dump contains it.',
    remedy: 'ALTER ROLE … RESET … (or ALTER DATABASE …), then rotate the key, because it was readable.',
    source: 'docs/decisions.md, 17',
    run: ({ snapshot }) =>
      judge(
        counted(
          snapshot.roleSettings.length,
          'setting of roles and databases',
          'settings of roles and databases',
        ),
        snapshot.roleSettings
          .filter(({ name }) => keyLike.test(name))
          .map(({ role, name }) => ({ object: role ? `role ${role}` : 'database', detail: `sets ${name}` })),
      ),
  },
  {
    id: 'ENC-004',
    name: 'no-key-in-statement-statistics',
    loses: 'secrets',
    title: 'Statement statistics contain no key',
    inspects:
      'SET, ALTER and DO statements in pg_stat_statements of this database that contain a key as a literal',
    why: 'SET app.encryption_keys = … (before 18) and DO blocks are kept verbatim, readable by every monitoring login, until the statistics are reset. Only set_config with a bound parameter leaves no key.',
    remedy:
      'Rotate the key, then SELECT extensions.pg_stat_statements_reset(). Change the caller to set_config($1, $2, true).',
    source: 'docs/decisions.md, 17; reproduced on PostgreSQL 15 and 18',
    run: async ({ snapshot, client }) => {
      const extension = snapshot.extensions.find(({ name }) => name === 'pg_stat_statements');
      if (!extension) return skip('extension pg_stat_statements is not created');
      if (!snapshot.activity.complete) return blind('the login may not read the statements of others');
      return rolledBack(client, async () => {
        const { rows } = await client.query<{ found: number; seen: number }>(
          `SELECT count(*) FILTER (WHERE s.query ~* '^\\s*(set|alter|do)\\M.*\\mapp\\.\\w*(key|secret)\\w*''?\\s*(=|to|,)\\s*''')::int AS found,
                  count(*)::int AS seen
             FROM ${pg.escapeIdentifier(extension.schema)}.pg_stat_statements AS s
            WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        );
        const { found, seen } = rows[0] ?? { found: 0, seen: 0 };
        const detail = `contains ${counted(found, 'statement')} with a key`;
        return judge(counted(seen, 'statement'), found > 0 ? [{ object: 'pg_stat_statements', detail }] : []);
      });
    },
  },
]);

async function roundTrip({ client, snapshot }: CheckInput): Promise<Outcome> {
  if (snapshot.server.inRecovery) return skip('the server is in recovery');
  const plaintext = `verify ${randomBytes(12).toString('hex')}`;
  const key = () => randomBytes(32).toString('base64');
  const ring = (first: string) => JSON.stringify({ first, second: key() });
  return rolledBack(client, async () => {
    await client.query(`SET LOCAL ROLE ${owner}`);
    await client.query(`SET LOCAL ROLE ${mayCall}`);
    const use = async (keys: string) =>
      client.query(
        "SELECT set_config('app.encryption_keys', $1, true), set_config('app.encryption_key_id', 'first', true)",
        [keys],
      );
    const call = async (name: string, value: string) => {
      const result = await attempt(client, () =>
        client.query<{ value: string }>(`SELECT ${schema}.${name}($1) AS value`, [value]),
      );
      return 'value' in result ? { value: result.value.rows[0]?.value ?? '' } : result;
    };
    const findings: Finding[] = [];
    const find = (name: string, detail: string) => findings.push({ object: `${schema}.${name}`, detail });
    await use(ring(key()));
    const encrypted = await call('encrypt_sensitive_data', plaintext);
    if ('refused' in encrypted) {
      find('encrypt_sensitive_data', `fails: ${encrypted.refused.message}`);
      return judge('a round trip', findings);
    }
    if (!/^pgp1:first:/.test(encrypted.value))
      find('encrypt_sensitive_data', 'does not name the key of the value');
    if (encrypted.value.includes(plaintext)) find('encrypt_sensitive_data', 'leaves the value readable');
    const again = await call('encrypt_sensitive_data', plaintext);
    if ('value' in again && again.value === encrypted.value) {
      find('encrypt_sensitive_data', 'encrypts equal values equally, which reveals that they are equal');
    }
    const decrypted = await call('decrypt_sensitive_data', encrypted.value);
    if (!('value' in decrypted) || decrypted.value !== plaintext) {
      find('decrypt_sensitive_data', 'does not return the encrypted value');
    }
    await use(ring(key()));
    if ('value' in (await call('decrypt_sensitive_data', encrypted.value))) {
      find('decrypt_sensitive_data', 'accepts another key with the same name');
    }
    return judge('a round trip', findings);
  });
}
