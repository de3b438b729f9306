/** Side channels beside the tables: docs/isolation.md. */
import { rolledBack } from '../../database/transaction.ts';
import { checksOf } from '../check.ts';
import { counted, judge } from '../outcome.ts';

/** First release per major version with the known fixes of row-level security, as server_version_num. */
const fixedIn: Readonly<Record<number, number>> = { 16: 160_010, 17: 170_006, 18: 180_000 };

const release = (version: number) => `${Math.floor(version / 10_000)}.${version % 10_000}`;

export const checks = checksOf('isolation', [
  {
    id: 'ISO-060',
    name: 'no-large-objects',
    loses: 'barrier',
    title: 'The database has no large objects',
    inspects: 'pg_largeobject_metadata',
    why: 'Every role that can connect may create large objects, and every tenant of the same login can read them. Neither row-level security nor retention covers them.',
    remedy:
      'Find the writer (lo_create, lo_from_bytea), move the content into a table, then SELECT lo_unlink(oid). llama.set_tenant_context removes those of its own role.',
    source: 'docs/isolation.md; tried on PostgreSQL 17',
    run: ({ client }) =>
      rolledBack(client, async () => {
        const { rows } = await client.query<{ owner: string; objects: number }>(
          `SELECT pg_get_userbyid(lomowner) AS owner, count(*)::int AS objects
             FROM pg_largeobject_metadata GROUP BY 1 ORDER BY 1`,
        );
        return judge(
          'pg_largeobject_metadata',
          rows.map(({ owner, objects }) => ({
            object: `large objects of ${owner}`,
            detail: counted(objects, 'object'),
          })),
        );
      }),
  },
  {
    id: 'ISO-061',
    name: 'release-has-row-security-fixes',
    loses: 'barrier',
    title: 'The PostgreSQL release contains the known fixes of row-level security',
    inspects: 'server_version_num',
    why: 'Older releases reuse plans under another role (CVE-2024-10976) and reveal rows behind policies in statistics (CVE-2025-8713).',
    remedy: 'Let the maintenance window install the newest release of the major version.',
    source: 'https://www.postgresql.org/support/security/ (CVE-2024-10976, CVE-2025-8713)',
    run: ({ snapshot }) => {
      const { version } = snapshot.server;
      const needed = fixedIn[Math.floor(version / 10_000)];
      return judge(
        `PostgreSQL ${release(version)}`,
        needed !== undefined && version < needed
          ? [{ object: `PostgreSQL ${release(version)}`, detail: `is older than ${release(needed)}` }]
          : [],
      );
    },
  },
  {
    id: 'ISO-062',
    name: 'large-objects-closed',
    loses: 'barrier',
    title: 'Large object functions are as closed as the server allows',
    inspects: 'pg_proc, lo_compat_privileges',
    why: 'Tenants of one login share its large objects. lo_import and lo_export read and write files of the server, and lo_compat_privileges opens every object to every role.',
    remedy:
      'REVOKE EXECUTE ON FUNCTION pg_catalog.<function> FROM <role>, as the role that granted it; RESET lo_compat_privileges.',
    source: 'https://www.postgresql.org/docs/17/lo-funcs.html; migration 0002',
    run: ({ client }) =>
      rolledBack(client, async () => {
        // Azure's administrator cannot revoke the defaults of PostgreSQL, so those are no finding there.
        const { rows } = await client.query<{ object: string; grantee: string | null }>(
          `SELECT p.oid::regprocedure::text AS object,
                  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
             FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
             LEFT JOIN pg_roles AS r ON r.oid = a.grantee
            WHERE p.prosrc LIKE 'be\\_lo%' AND a.grantee <> p.proowner AND r.rolsuper IS NOT TRUE
              AND (a.grantee <> 0 OR p.prosrc ~ '(im|ex)port' OR has_function_privilege(p.oid, 'EXECUTE WITH GRANT OPTION'))
            UNION ALL
           SELECT 'parameter lo_compat_privileges', NULL WHERE current_setting('lo_compat_privileges') = 'on'
            ORDER BY 1, 2`,
        );
        return judge(
          'large object functions',
          rows.map(({ object, grantee }) => ({
            object,
            detail: grantee === null ? 'is on' : `${grantee} can execute it`,
          })),
        );
      }),
  },
]);
