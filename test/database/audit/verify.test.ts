import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hashOf } from '../../../database/audit/canonical.ts';
import { describeTrail } from '../../../database/audit/describe.ts';
import { parseHead, sealsAfter } from '../../../database/audit/seals.ts';
import { run } from '../../commands/run.ts';
import { change, makeTrail, sealAll, sealsOf, type Trail, tamper, verified } from './trail.ts';

const now = new Date();
const month = (offset: number) =>
  new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset)).toISOString().slice(0, 10);
const leaf = (offset: number) => `audit_trail_y${month(offset).slice(0, 7).replace('-', 'm')}`;

/** Three seals of this month: rows 1 to 4, 5 to 7, 8. */
async function sealedTrail(): Promise<Trail> {
  const trail = await makeTrail();
  for (const rows of [4, 3, 1]) {
    await change(trail.client, 'alpha', rows);
    await sealAll(trail);
  }
  return trail;
}

/** Adds an old partition with one sealed row. */
async function addOldMonth(trail: Trail, day = '2023-01-10'): Promise<void> {
  await trail.client.query('SET ROLE llama_owner');
  await trail.client.query(`SELECT llama.create_monthly_partition('audit_trail', $1)`, [day]);
  await trail.client.query('RESET ROLE');
  await tamper(
    trail,
    `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
     VALUES ('alpha', 'storage_records', 'SELECT', 'x', '${day} 10:00:00+00')`,
  );
  await sealAll(trail);
}

const close = async ({ client }: Trail, day = '2023-01-01') => {
  await client.query('SET ROLE llama_owner');
  try {
    const { rows } = await client.query<{ n: string }>('SELECT llama.close_audit_partition($1) AS n', [day]);
    return Number(rows[0]?.n);
  } finally {
    await client.query('RESET ROLE');
  }
};

const isClosed = async ({ client }: Trail, day = '2023-01-01') => {
  await client.query('SET ROLE llama_owner');
  const { rows } = await client.query<{ closed: boolean }>(
    'SELECT llama.is_audit_partition_closed($1) AS closed',
    [day],
  );
  await client.query('RESET ROLE');
  return rows[0]?.closed;
};

/** Recomputes the seals from `number` on, as an owner of all objects could. */
async function recompute(trail: Trail, number: number): Promise<void> {
  let previousHash: string | undefined;
  for await (const page of sealsAfter(trail.superuser, 0)) {
    for (const seal of page) {
      if (seal.number >= number) {
        const changed = { ...seal, ...(previousHash ? { previousHash } : {}) };
        const hash = hashOf(changed);
        await tamper(
          trail,
          `UPDATE llama.audit_seals SET previous_hash = decode('${changed.previousHash}', 'hex'), hash = decode('${hash}', 'hex')
            WHERE number = ${seal.number}`,
        );
        previousHash = hash;
      } else previousHash = seal.hash;
    }
  }
}

describe('llama-db audit verify', () => {
  let trail: Trail;
  beforeAll(async () => {
    trail = await sealedTrail();
    await trail.superuser.query(
      'CREATE TABLE public.rows AS TABLE llama.audit_trail; CREATE TABLE public.seals AS TABLE llama.audit_seals',
    );
  });
  afterAll(() => trail.database.drop());
  afterEach(() =>
    tamper(
      trail,
      `TRUNCATE llama.audit_trail, llama.audit_seals;
       DROP TABLE IF EXISTS llama.audit_trail_y2023m01, llama.audit_trail_y2023m02, llama.audit_trail_rest;
       INSERT INTO llama.audit_trail TABLE public.rows; INSERT INTO llama.audit_seals TABLE public.seals;
       SELECT setval('llama.audit_sequence', 8); UPDATE llama.audit_sealing SET noted_sequence = NULL`,
    ),
  );

  const where = `seal 2, ${leaf(0)}, rows numbered 5 to 7`;
  it.each([
    [
      'changed row',
      `UPDATE llama.audit_trail SET user_id = 'somebody else' WHERE sequence = 6`,
      `at least 1 of 3 rows changed (${where})`,
    ],
    ['removed row', 'DELETE FROM llama.audit_trail WHERE sequence = 6', `1 row of 3 removed (${where})`],
    [
      'inserted row',
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, sequence) VALUES ('alpha', 't', 'SELECT', 'x', 6)`,
      `1 row inserted beside 3 (${where})`,
    ],
    [
      'inserted row',
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, sequence, "timestamp")
       VALUES ('alpha', 't', 'SELECT', 'x', 6, '${month(-1)}'), ('alpha', 't', 'SELECT', 'x', 7, '${month(-1)}')`,
      `row 6 of ${leaf(-1)} and 1 more were added to the sealed rows of the month`,
    ],
    [
      'inserted row',
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, sequence) VALUES ('alpha', 't', 'SELECT', 'x', -3)`,
      `row -3 of ${leaf(0)} was added to the sealed rows of the month`,
    ],
    [
      'inserted row',
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, sequence) VALUES ('alpha', 't', 'SELECT', 'x', '${-(2n ** 63n)}')`,
      `row ${-(2n ** 63n)} of ${leaf(0)} was added to the sealed rows of the month`,
    ],
    [
      'inserted row',
      `CREATE TABLE llama.audit_trail_rest PARTITION OF llama.audit_trail DEFAULT;
       INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, sequence, "timestamp")
       VALUES ('alpha', 't', 'SELECT', 'x', 6, '2019-05-05')`,
      'row 6 of audit_trail_rest was added to the sealed rows of the month',
    ],
    [
      'inserted row',
      `CREATE TABLE llama.audit_trail_rest PARTITION OF llama.audit_trail
         FOR VALUES FROM ('2019-01-01 00:00:00+00') TO ('2020-01-01 00:00:00+00');
       INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, sequence, "timestamp")
       VALUES ('alpha', 't', 'SELECT', 'x', 6, '2019-05-05')`,
      'row 6 of audit_trail_rest was added to the sealed rows of the month',
    ],
    ...['-infinity', '0044-03-15 BC', '1969-12-31 23:59:59+00', '9999-12-01 00:00:00+00', 'infinity'].map(
      (time): [string, string, string] => [
        'inserted row',
        `CREATE TABLE llama.audit_trail_rest PARTITION OF llama.audit_trail DEFAULT;
         INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
         VALUES ('alpha', 't', 'SELECT', 'x', '${time}'), ('alpha', 't', 'SELECT', 'x', '${time}')`,
        'row 9 of audit_trail_rest and 1 more have a time outside all months of the trail',
      ],
    ),
    [
      'rewritten seal',
      `ALTER TABLE llama.audit_seals DROP CONSTRAINT audit_seals_month_check;
       UPDATE llama.audit_seals SET month = '12026-01-01' WHERE number = 2;
       ALTER TABLE llama.audit_seals ADD CONSTRAINT audit_seals_month_check
         CHECK (date_part('day', month) = 1) NOT VALID`,
      'seal 2 (audit_trail) was rewritten: its hash does not match its content',
    ],
    [
      'rewritten seal',
      "UPDATE llama.audit_seals SET sealed_at = sealed_at - interval '1 day' WHERE number = 2",
      `seal 2 (${leaf(0)}) was rewritten: its hash does not match its content`,
    ],
    ['removed seal', 'DELETE FROM llama.audit_seals WHERE number = 2', 'seal 2 is missing'],
  ])('names a %s and where: %s', async (kind, sql, detail) => {
    await tamper(trail, sql);
    const { findings } = await verified(trail);
    // If a seal is removed or names another month, its rows have no seal, which is a finding too.
    const [first, ...others] = findings;
    expect(first).toMatchObject({ kind, detail });
    const more =
      kind === 'removed seal'
        ? ['inserted row']
        : sql.includes('12026')
          ? ['rewritten seal', 'inserted row']
          : [];
    expect(others.map((finding) => finding.kind)).toEqual(more);
  });

  it('names the partition of a month, even an unusual one', async () => {
    await tamper(
      trail,
      `CREATE TABLE llama.audit_trail_rest PARTITION OF llama.audit_trail
         FOR VALUES FROM ('2019-01-01 00:00:00+00') TO ('2020-01-01 00:00:00+00');
       INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
       VALUES ('alpha', 't', 'SELECT', 'x', '2019-05-05'), ('alpha', 't', 'SELECT', 'x', '2019-05-06')`,
    );
    await sealAll(trail);
    expect((await verified(trail)).findings).toEqual([]);
    await tamper(trail, 'DELETE FROM llama.audit_trail WHERE sequence = 9');
    expect((await verified(trail)).findings).toMatchObject([
      {
        partition: 'audit_trail_rest',
        detail: '1 row of 2 removed (seal 4, audit_trail_rest, rows numbered 9 to 10)',
      },
    ]);
  });

  it('reports rows that cannot be read, and goes on with the other months', async () => {
    await addOldMonth(trail);
    // 108 KB whose text no answer can hold.
    await tamper(
      trail,
      `UPDATE llama.audit_trail SET new_values = ('[' || repeat('1e131000,', 8999) || '1]')::jsonb WHERE sequence = 9`,
    );
    await tamper(trail, 'DELETE FROM llama.audit_trail WHERE sequence = 6');
    expect((await verified(trail)).findings).toMatchObject([
      {
        kind: 'unreadable rows',
        partition: 'audit_trail_y2023m01',
        detail: expect.stringContaining('54000'),
      },
      { kind: 'removed row', seal: 2 },
    ]);
  }, 120_000);

  it('seals rows after one with a time outside all months', async () => {
    await tamper(
      trail,
      `CREATE TABLE llama.audit_trail_rest PARTITION OF llama.audit_trail DEFAULT;
       INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
       VALUES ('alpha', 't', 'SELECT', 'x', 'infinity'), ('alpha', 't', 'SELECT', 'x', '-infinity')`,
    );
    await change(trail.client, 'alpha', 2);
    await sealAll(trail);
    expect(await verified(trail)).toMatchObject({
      findings: [{ kind: 'inserted row', partition: 'audit_trail_rest' }],
      rows: 10,
      unsealed: { rows: 0, oldest: null },
    });
  });

  it('finds a change of both a row and its seal by the broken link', async () => {
    await tamper(trail, 'DELETE FROM llama.audit_trail WHERE sequence = 6');
    const remaining = await trail.superuser.query(
      `SELECT encode(c.content_hash, 'hex') AS hash FROM llama.audit_content(NULL, 4, 7) c`,
    );
    for await (const page of sealsAfter(trail.superuser, 1)) {
      const [seal] = page;
      if (!seal) throw new Error('the chain has no second seal');
      const changed = { ...seal, rowCount: 2n, contentHash: String(remaining.rows[0]?.hash) };
      await tamper(
        trail,
        `UPDATE llama.audit_seals SET row_count = 2, content_hash = decode('${changed.contentHash}', 'hex'),
           hash = decode('${hashOf(changed)}', 'hex') WHERE number = 2`,
      );
      break;
    }
    expect((await verified(trail)).findings).toEqual([
      { kind: 'broken link', seal: 3, detail: 'seal 3 does not link to seal 2: one of them was replaced' },
    ]);
  });

  it('finds a recomputed chain only with a head that was kept elsewhere', async () => {
    const { head } = await verified(trail);
    if (!head) throw new Error('the trail has no head');
    await change(trail.client, 'alpha');
    await sealAll(trail);
    expect(await verified(trail, head)).toMatchObject({ findings: [], head: { number: 4 } });

    await tamper(
      trail,
      `UPDATE llama.audit_seals SET sealed_at = sealed_at - interval '1 second' WHERE number = 2`,
    );
    await recompute(trail, 2);
    expect((await verified(trail)).findings).toEqual([]);
    expect((await verified(trail, head)).findings).toMatchObject([
      { kind: 'other chain', seal: 3, detail: expect.stringContaining('recomputed') },
    ]);

    await tamper(trail, 'DELETE FROM llama.audit_seals WHERE number > 2');
    expect((await verified(trail)).findings).toEqual([]);
    expect((await verified(trail, head)).findings).toMatchObject([
      {
        kind: 'other chain',
        seal: 3,
        detail: expect.stringContaining('does not exist: the newest seal is 2'),
      },
    ]);
  });

  it('accepts a removed month with a closing seal, and reports one without as missing', async () => {
    await addOldMonth(trail);
    const closing = await close(trail);
    expect(closing).toBe(5);
    // A second closing is the same one, while its rows exist.
    expect(await close(trail)).toBe(closing);
    expect(await verified(trail)).toMatchObject({ findings: [], closed: [{ seal: 5, present: true }] });

    const [seal] = (await sealsOf(trail)).filter(({ kind }) => kind === 'closing');
    const { rows } = await trail.superuser.query<{ hash: string }>(
      `SELECT encode(content_hash, 'hex') AS hash FROM llama.audit_seals WHERE number = 4`,
    );
    await trail.superuser.query('DROP TABLE llama.audit_trail_y2023m01');
    expect(await verified(trail)).toMatchObject({
      findings: [],
      rows: 8,
      closed: [
        {
          partition: 'audit_trail_y2023m01',
          from: '2023-01-01 00:00:00+00',
          to: '2023-02-01 00:00:00+00',
          firstSequence: String(seal?.first),
          lastSequence: String(seal?.last),
          rows: '1',
          closingHash: createHash('sha256')
            .update(Buffer.from(String(rows[0]?.hash), 'hex'))
            .digest('hex'),
          seal: 5,
          present: false,
        },
      ],
    });

    await addOldMonth(trail, '2023-02-10');
    await trail.superuser.query('DROP TABLE llama.audit_trail_y2023m02');
    expect((await verified(trail)).findings).toEqual([
      {
        kind: 'missing partition',
        partition: 'audit_trail_y2023m02',
        detail: 'audit_trail_y2023m02 is gone with 1 row sealed and has no closing seal',
      },
    ]);
  });

  it('applies a closing only to rows of the month that were sealed before it', async () => {
    await addOldMonth(trail);
    await close(trail);
    expect(await isClosed(trail)).toBe(true);
    await addOldMonth(trail);
    expect(await isClosed(trail)).toBe(false);
    expect(await verified(trail)).toMatchObject({ findings: [], closed: [] });

    await trail.superuser.query('DROP TABLE llama.audit_trail_y2023m01');
    expect(await verified(trail)).toMatchObject({
      closed: [],
      findings: [
        {
          kind: 'missing partition',
          partition: 'audit_trail_y2023m01',
          detail: 'audit_trail_y2023m01 is gone with 1 row sealed after seal 5 had closed it',
        },
      ],
    });
  });

  it('uses the newest of several closings', async () => {
    await addOldMonth(trail);
    await close(trail);
    await addOldMonth(trail);
    expect(await close(trail)).toBe(7);
    expect(await isClosed(trail)).toBe(true);
    await trail.superuser.query('DROP TABLE llama.audit_trail_y2023m01');
    expect(await verified(trail)).toMatchObject({ findings: [], closed: [{ seal: 7, rows: '2' }] });
  });

  it('refuses to close a month that differs from its seals, is not sealed, or has not ended', async () => {
    await addOldMonth(trail);
    await tamper(trail, `UPDATE llama.audit_trail SET user_id = 'x' WHERE record_key = 'x'`);
    await expect(close(trail)).rejects.toMatchObject({
      code: 'XX001',
      message: 'the audit partition of 2023-01 differs from seal 4',
    });
    await addOldMonth(trail, '2023-02-10');
    await tamper(
      trail,
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
       VALUES ('alpha', 't', 'SELECT', 'y', '2023-02-11')`,
    );
    await expect(close(trail, '2023-02-01')).rejects.toMatchObject({
      code: '55000',
      message: 'the audit partition of 2023-02 has 2 rows, of which 1 are sealed',
    });
    await expect(close(trail, month(0))).rejects.toMatchObject({ code: '55000' });
    expect((await sealsOf(trail)).filter(({ kind }) => kind === 'closing')).toEqual([]);
  });

  it('finds a closing that differs from the seals of its month', async () => {
    await addOldMonth(trail);
    await close(trail);
    await tamper(trail, 'UPDATE llama.audit_seals SET row_count = 7 WHERE number = 5');
    await recompute(trail, 5);
    expect((await verified(trail)).findings).toMatchObject([{ kind: 'wrong closing', seal: 5 }]);
    await tamper(trail, `UPDATE llama.audit_seals SET sealed_at = 'infinity' WHERE number = 5`);
    expect(await verified(trail)).toMatchObject({
      findings: [{ kind: 'rewritten seal', seal: 5 }, { kind: 'wrong closing' }],
      closed: [{ closedAt: 'Infinity' }],
    });
  });

  it('reads all pages, and lists a bounded number of findings', async () => {
    await change(trail.client, 'alpha', 1);
    await tamper(
      trail,
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key)
       SELECT 'alpha', 't', 'SELECT', n::text FROM generate_series(1, 12000) n`,
    );
    await sealAll(trail, 20, 10_000);
    const intact = await verified(trail);
    expect(intact).toMatchObject({ findings: [], rows: 12_009, seals: 604 });
    await tamper(trail, 'UPDATE llama.audit_trail SET user_id = $$x$$');
    const { findings, more } = await verified(trail);
    expect(findings.length + more).toBe(604);
    expect(findings).toHaveLength(100);
    expect(describeTrail(await verified(trail)).at(-2)).toBe('Tampered: and 504 more');
  });
});

describe('the command', () => {
  let trail: Trail;
  beforeAll(async () => {
    trail = await sealedTrail();
  });
  afterAll(() => trail.database.drop());

  it('prints one line with the head, which --expect accepts', async () => {
    const url = trail.database.url();
    const first = await run(['audit', 'verify', '--url', url]);
    expect(first.stdout).toMatch(
      /\nThe audit trail of .+ is intact: 3 seals, 8 rows compared, 0 months closed; all rows are sealed; head 3:[0-9a-f]{64} \(.+\)\n$/,
    );
    const head = /head (\S+)/.exec(first.stdout)?.[1] ?? '';
    expect((await run(['audit', 'head', '--url', url])).stdout).toBe(`${head}\n`);
    const again = await run(['audit', 'verify', '--url', url, '--expect', head, '--json']);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({
      ok: true,
      intact: true,
      findings: [],
      head: { number: 3, hash: parseHead(head).hash },
      unsealed: { rows: 0, oldest: null },
    });
    const other = await run(['audit', 'verify', '--url', url, '--expect', `3:${'0'.repeat(64)}`]);
    expect(other.code).toBe(1);
    expect(other.stdout).toMatch(/\nTampered: other chain: seal 3 /);
  });

  it('seals at once, and exits with 2 for a malformed head and a missing trail', async () => {
    await change(trail.client, 'alpha', 2);
    const sealed = await run(['audit', 'seal', '--url', trail.database.url(), '--json']);
    expect(sealed.code).toBe(0);
    expect(JSON.parse(sealed.stdout)).toMatchObject({ ok: true, sealed: expect.any(Number) });
    const bad = await run(['audit', 'verify', '--url', trail.database.url(), '--expect', '3:abc']);
    expect(bad).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/"3:abc".*\[audit\/head-malformed\]/),
    });
    const elsewhere = await run([
      'audit',
      'verify',
      '--url',
      trail.database.url().replace(/\/[^/?]+(\?|$)/, '/postgres$1'),
    ]);
    expect(elsewhere).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/llama\.audit_seals.*\[audit\/not-sealed\]/),
    });
  });
});
