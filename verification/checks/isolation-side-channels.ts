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
    severity: 'medium',
    title: 'The database has no large objects',
    inspects: 'pg_largeobject_metadata',
    why: 'Every role that can connect may create large objects, and every tenant of the same login can read them. Neither row-level security nor retention covers them.',
    remedy:
      'Find the writer (lo_create, lo_from_bytea), move the content into a table, then SELECT lo_unlink(oid).',
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
    severity: 'medium',
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
]);
