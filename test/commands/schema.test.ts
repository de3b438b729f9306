import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MigrationsCopy, migrationsCopy, run } from './run.ts';

let copy: MigrationsCopy;
beforeEach(() => {
  copy = migrationsCopy();
});
afterEach(() => copy.drop());

const path = () => join(copy.directory, 'schema.json');

/** A realistic migration: a table of tenants, a column, a changed policy, a grant, a function. */
const sample = `-- Up Migration
CREATE TABLE llama.notes (
  tenant_id varchar(100) NOT NULL,
  note_id bigint GENERATED ALWAYS AS IDENTITY,
  note text DEFAULT 'none',
  CONSTRAINT notes_pkey PRIMARY KEY (tenant_id, note_id)
);
ALTER TABLE llama.notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
GRANT SELECT ON llama.notes TO analytics_role;
ALTER TABLE llama.tenant_configs ADD COLUMN plan text;
ALTER POLICY analytics_read_metrics ON llama.model_metrics USING (metric_value >= 0);
DROP INDEX llama.idx_detector_executions_performance;
CREATE OR REPLACE FUNCTION llama.touch_updated_at() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END
$$;

-- Down Migration
SELECT 1;
`;

describe('llama-db schema', () => {
  it('--check passes for the committed manifest on every supported major version', async () => {
    const { code, stdout, stderr } = await run(['schema', '--check']);
    expect(stdout + stderr).toMatch(/schema\.json is what the migrations make on PostgreSQL 16, 17, 18\n$/);
    expect(code).toBe(0);
  }, 120_000);

  it('--check exits with 1 after a migration without a generated manifest, and prints its effect', async () => {
    copy.write('9001_sample.sql', sample);
    const { code, stdout } = await run([
      ...['schema', '--check', '--major', '17', '--migrations', copy.directory],
    ]);
    expect(code).toBe(1);
    const lines = stdout.trim().split('\n');
    expect(lines.pop()).toBe(
      `${path()} is not what the migrations make: ${lines.length} changes. Run llama-db schema --write and commit it.`,
    );
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "+ migration 9001_sample
      ~ function llama.touch_updated_at(): body differs from line 3 on: NEW.updated_at := now(); becomes NEW.updated_at := clock_timestamp();
      - index llama.idx_detector_executions_performance: CREATE INDEX idx_detector_executions_performance ON ONLY llama.detector_executions USING btree (detector_type, "timestamp" DESC, execution_time_ms)
      ~ policy analytics_read_metrics on llama.model_metrics: USING from true to (metric_value >= (0)::numeric)
      + llama.notes: table
      + column llama.notes.note: text; default 'none'::text
      + column llama.notes.note_id: bigint; NOT NULL; identity always
      + column llama.notes.tenant_id: character varying(100); NOT NULL
      + constraint notes_pkey on llama.notes: PRIMARY KEY (tenant_id, note_id)
      + index llama.notes_pkey: CREATE UNIQUE INDEX notes_pkey ON llama.notes USING btree (tenant_id, note_id)
      + row-level security of llama.notes: for its owner forced; row-level security enabled
      + grants on llama.notes: SELECT to analytics_role
      + owner of llama.notes: llama_owner
      + llama.notes_note_id_seq: sequence
      + storage of llama.notes_note_id_seq: bigint; cache 1; increment 1; maximum 9223372036854775807; minimum 1; owned by llama.notes.note_id; start 1
      + owner of llama.notes_note_id_seq: llama_owner
      + column llama.tenant_configs.plan: text"
    `);
  }, 60_000);

  it('--write makes --check pass, and prints the changes', async () => {
    const committed = readFileSync(path(), 'utf8');
    const { common, ...rest } = JSON.parse(committed);
    delete common['llama.tenant_configs'];
    writeFileSync(path(), JSON.stringify({ common, ...rest }));
    const { code, stdout } = await run(['schema', '--write', '--migrations', copy.directory]);
    expect(code).toBe(0);
    expect(stdout).toContain('+ column llama.tenant_configs.tenant_id: character varying(100); NOT NULL');
    expect(readFileSync(path(), 'utf8')).toBe(committed);
  }, 120_000);

  it.each([[[]], [['--write', '--check']], [['--check', '--major', '15']], [['--write', '--major', '17']]])(
    'refuses %j',
    async (options) => {
      expect(await run(['schema', ...options])).toMatchObject({ code: 2 });
    },
  );
});
