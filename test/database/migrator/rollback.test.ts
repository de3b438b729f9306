import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault } from '../../../core/fault.ts';
import { type History, makesTable, newHistory } from './history.ts';

let history: History;

/** Row-level security hides the rows from the owner, as in every table with tenant data. */
const guarded = `-- loses data of: t_guarded

-- Up Migration
CREATE TABLE llama.t_guarded (note text);
ALTER TABLE llama.t_guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
-- Down Migration
DROP TABLE llama.t_guarded;
`;

beforeEach(async () => {
  history = await newHistory();
  history.write('0001_first.sql', makesTable('t_first'));
  history.write('0002_guarded.sql', guarded);
  history.write('0003_third.sql', makesTable('t_third'));
  await history.migrate();
});

afterEach(() => history.drop());

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const outcome = await promise.then(
    () => undefined,
    (error) => error,
  );
  expect(outcome).toBeInstanceOf(Fault);
  return outcome as Fault;
}

const insert = () => history.rows("INSERT INTO llama.t_guarded VALUES ('kept'), ('kept too')");

describe('rolling back', () => {
  it('undoes the newest migration, which can be applied again', async () => {
    expect(await history.rollback()).toEqual(['0003_third']);
    expect(await history.migrate()).toEqual(['0003_third']);
  });

  it('undoes all migrations after a version, newest first', async () => {
    expect(await history.rollback({ to: '0001' })).toEqual(['0003_third', '0002_guarded']);
    expect(await history.rollback({ to: '0000' })).toEqual(['0001_first']);
    expect(await history.rollback({ to: '0000' })).toEqual([]);
  });

  it('refuses to lose rows before any change, and counts them', async () => {
    await insert();
    const fault = await faultOf(history.rollback({ to: '0000' }));
    expect(fault).toMatchObject({
      code: 'rollback/would-lose-rows',
      what: expect.stringContaining('0003_third, 0002_guarded, 0001_first'),
      why: expect.stringContaining('t_guarded (2 rows)'),
      remedy: expect.stringContaining('--accept-data-loss'),
    });
    expect(await history.rows('SELECT count(*)::int FROM llama.t_guarded')).toEqual([{ count: 2 }]);
    expect(
      await history.rows("SELECT relforcerowsecurity AS forced FROM pg_class WHERE relname = 't_guarded'"),
    ).toEqual([{ forced: true }]);
    expect(await history.migrate()).toEqual([]);
  });

  it('loses rows of an accepted table', async () => {
    await insert();
    expect(await history.rollback({ to: '0001', acceptDataLoss: ['t_guarded'] })).toEqual([
      '0003_third',
      '0002_guarded',
    ]);
    expect(await history.rows("SELECT to_regclass('llama.t_guarded')::text AS it")).toEqual([{ it: null }]);
  });

  it('refuses the acceptance of a loss that it would not cause', async () => {
    const fault = await faultOf(history.rollback({ acceptDataLoss: ['t_guarded'] }));
    expect(fault).toMatchObject({
      code: 'rollback/needless-acceptance',
      what: expect.stringContaining('t_guarded'),
      exitCode: 2,
    });
  });

  it('checks again inside its own transaction for rows added since the count', async () => {
    // The rollback of a later migration inserts into the table that was empty at the time of the count.
    history.write(
      '0004_fills.sql',
      "-- Up Migration\nSELECT 1;\n-- Down Migration\nALTER TABLE llama.t_guarded NO FORCE ROW LEVEL SECURITY;\nINSERT INTO llama.t_guarded VALUES ('late');\nALTER TABLE llama.t_guarded FORCE ROW LEVEL SECURITY;\n",
    );
    await history.migrate();
    const fault = await faultOf(history.rollback({ to: '0001' }));
    expect(fault).toMatchObject({
      code: 'server/error',
      what: expect.stringContaining('0002_guarded'),
      why: expect.stringContaining('llama.t_guarded'),
      remedy: expect.stringContaining('--accept-data-loss'),
    });
    expect(await history.rows('SELECT count(*)::int FROM llama.t_guarded')).toEqual([{ count: 1 }]);
    expect(
      await history.rows("SELECT relforcerowsecurity AS forced FROM pg_class WHERE relname = 't_guarded'"),
    ).toEqual([{ forced: true }]);
  });

  it('refuses an edited or missing file, because its Down section may not fit', async () => {
    const what = expect.stringContaining('0003_third');
    history.write('0003_third.sql', makesTable('t_other'));
    expect(await faultOf(history.rollback())).toMatchObject({ code: 'rollback/file-changed', what });
    history.remove('0003_third.sql');
    expect(await faultOf(history.rollback())).toMatchObject({ code: 'rollback/file-missing', what });
  });

  it('refuses a migration without a Down section', async () => {
    history.write('0004_forward.sql', '-- Up Migration\nSELECT 1;\n');
    await history.migrate();
    expect(await faultOf(history.rollback())).toMatchObject({
      code: 'migration/section-missing',
      what: expect.stringMatching(/0004_forward .*down/),
      why: expect.stringContaining('"-- Down Migration"'),
    });
  });

  it('refuses a version that is not applied', async () => {
    expect(await faultOf(history.rollback({ to: '0009' }))).toMatchObject({
      code: 'rollback/version-not-applied',
      what: expect.stringContaining('0009'),
      why: expect.stringContaining('0001, 0002, 0003'),
    });
  });
});
