import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault } from '../../../core/fault.ts';
import { type History, makesTable, newHistory } from './history.ts';

let history: History;

/** Row-level security hides the rows from the owner, as it does in every table of tenants. */
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
  it('takes back the newest, and can be applied again', async () => {
    expect(await history.rollback()).toEqual(['0003_third']);
    expect(await history.migrate()).toEqual(['0003_third']);
  });

  it('takes back everything after a version, newest first', async () => {
    expect(await history.rollback({ to: '0001' })).toEqual(['0003_third', '0002_guarded']);
    expect(await history.rollback({ to: '0000' })).toEqual(['0001_first']);
    expect(await history.rollback({ to: '0000' })).toEqual([]);
  });

  it('refuses to lose rows before anything is changed, and says how many', async () => {
    await insert();
    const fault = await faultOf(history.rollback({ to: '0000' }));
    expect(fault.message).toMatch(
      /Rolling back 0003_third, 0002_guarded, 0001_first would destroy data: .*t_guarded \(2 rows\).*--accept-data-loss/,
    );
    expect(await history.rows('SELECT count(*)::int FROM llama.t_guarded')).toEqual([{ count: 2 }]);
    expect(
      await history.rows("SELECT relforcerowsecurity AS forced FROM pg_class WHERE relname = 't_guarded'"),
    ).toEqual([{ forced: true }]);
    expect(await history.migrate()).toEqual([]);
  });

  it('loses them when the table is named', async () => {
    await insert();
    expect(await history.rollback({ to: '0001', acceptDataLoss: ['t_guarded'] })).toEqual([
      '0003_third',
      '0002_guarded',
    ]);
    expect(await history.rows("SELECT to_regclass('llama.t_guarded')::text AS it")).toEqual([{ it: null }]);
  });

  it('refuses a table that it would not touch', async () => {
    const fault = await faultOf(history.rollback({ acceptDataLoss: ['t_guarded'] }));
    expect(fault.message).toMatch(/names t_guarded: this rollback destroys no rows/);
    expect(fault.exitCode).toBe(2);
  });

  it('looks again inside its own transaction, for rows that came since they were counted', async () => {
    // A migration above inserts while it is taken back: what was counted as empty is not any more.
    history.write(
      '0004_fills.sql',
      "-- Up Migration\nSELECT 1;\n-- Down Migration\nALTER TABLE llama.t_guarded NO FORCE ROW LEVEL SECURITY;\nINSERT INTO llama.t_guarded VALUES ('late');\nALTER TABLE llama.t_guarded FORCE ROW LEVEL SECURITY;\n",
    );
    await history.migrate();
    const fault = await faultOf(history.rollback({ to: '0001' }));
    expect(fault.message).toMatch(
      /0002_guarded failed .*t_guarded has got rows in the meantime.*--accept-data-loss/,
    );
    expect(await history.rows('SELECT count(*)::int FROM llama.t_guarded')).toEqual([{ count: 1 }]);
    expect(
      await history.rows("SELECT relforcerowsecurity AS forced FROM pg_class WHERE relname = 't_guarded'"),
    ).toEqual([{ forced: true }]);
  });

  it('refuses an edited or missing file: nobody knows whether its Down section fits', async () => {
    history.write('0003_third.sql', makesTable('t_other'));
    expect((await faultOf(history.rollback())).message).toMatch(
      /0003_third cannot be rolled back: .*changed/,
    );
    history.remove('0003_third.sql');
    expect((await faultOf(history.rollback())).message).toMatch(
      /0003_third cannot be rolled back: .*missing/,
    );
  });

  it('refuses a migration without a way back', async () => {
    history.write('0004_forward.sql', '-- Up Migration\nSELECT 1;\n');
    await history.migrate();
    expect((await faultOf(history.rollback())).message).toMatch(
      /0004_forward cannot be run down.*no "-- Down Migration"/,
    );
  });

  it('refuses a version that is not applied', async () => {
    expect((await faultOf(history.rollback({ to: '0009' }))).message).toMatch(
      /0009 is not applied.*0001, 0002, 0003/,
    );
  });
});
