/** Ways around the policies that are no statement on a table: docs/isolation.md. */
import { rolledBack } from '../../database/transaction.ts';
import { checksOf } from '../check.ts';
import { counted, judge } from '../outcome.ts';

/** First release of each major in which row-level security has no known defect, as server_version_num. */
const mended: Readonly<Record<number, number>> = { 16: 160_010, 17: 170_006, 18: 180_000 };

const release = (version: number) => `${Math.floor(version / 10_000)}.${version % 10_000}`;

export const checks = checksOf('isolation', [
  {
    id: 'ISO-060',
    name: 'no-large-objects',
    severity: 'medium',
    title: 'There are no large objects, which belong to no tenant',
    inspects: 'pg_largeobject_metadata',
    why: 'Anybody who can connect may make large objects, and every tenant served by the same login reads them: row-level security does not know them, nor does retention.',
    remedy:
      'Find who writes them (lo_create, lo_from_bytea), move the content into a table, then SELECT lo_unlink(oid).',
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
    title: 'The release has the known defects of row-level security mended',
    inspects: 'server_version_num',
    why: 'Plans were reused under another role (CVE-2024-10976), and statistics told of rows behind policies and partitions (CVE-2025-8713).',
    remedy: "Let the server's maintenance window install the newest release of its major version.",
    source: 'https://www.postgresql.org/support/security/ (CVE-2024-10976, CVE-2025-8713)',
    run: ({ snapshot }) => {
      const { version } = snapshot.server;
      const needed = mended[Math.floor(version / 10_000)];
      return judge(
        `PostgreSQL ${release(version)}`,
        needed !== undefined && version < needed
          ? [{ object: `PostgreSQL ${release(version)}`, detail: `mended from ${release(needed)} on` }]
          : [],
      );
    },
  },
]);
