/** Statements that leave something in a session, and statements that look for what somebody left. */
import type pg from 'pg';
import { texts } from '../../migrations/session-state.ts';
import type { Random } from '../random.ts';
import { quote, readable } from './expressions.ts';
import type { Tenant } from './tenants.ts';

/** Queries that a driver prepares under a name. `$1` is the tenant. */
export const named = [
  { name: 'get', text: 'SELECT * FROM llama.storage_records WHERE tenant_id = $1 ORDER BY id' },
  {
    name: 'measured',
    text: 'SELECT * FROM llama.model_metrics WHERE tenant_id = $1 ORDER BY id, "timestamp"',
  },
  {
    name: 'configured',
    text: "SELECT c.*, '\\x00ff'::bytea, 0.1::float8, interval '1 day' FROM llama.tenant_configs AS c WHERE tenant_id = $1",
  },
] as const;

interface Setting {
  readonly name: string;
  readonly type: string;
  readonly values: readonly string[];
}

export class Leftovers {
  constructor(
    readonly random: Random,
    private readonly settings: readonly Setting[],
  ) {}

  static async read(random: Random, client: pg.Client): Promise<Leftovers> {
    const { rows } = await client.query<Setting>(
      `SELECT name, vartype AS type,
              coalesce(enumvals, CASE vartype WHEN 'bool' THEN '{on,off}' ELSE array_remove(ARRAY[min_val, max_val], NULL) END) AS values
         FROM pg_settings WHERE context = 'user' ORDER BY name`,
    );
    return new Leftovers(random, rows);
  }

  /** A statement for the inside or the outside of a transaction. Some are refused, which is the point. */
  leave(tenant: Tenant): string {
    const { random } = this;
    const rows = `SELECT string_agg(t::text, '|') FROM ${random.pick(readable)} AS t`;
    const number = () => random.below(4);
    const query = random.pick(named);
    const loot = random.pick([
      `lo_from_bytea(0, convert_to((${rows}), 'UTF8'))`,
      `set_config('app.loot', (${rows}), false)`,
      `set_config('application_name', left((${rows}), 60), false)`,
      `pg_advisory_lock(hashtext((${rows})))`,
      `(${rows})`,
    ]);
    return random.weighted<() => string>([
      [6, () => this.#setting()],
      [2, () => `DEALLOCATE ${query.name}; PREPARE ${query.name}(text) AS SELECT ${loot}`],
      [
        2,
        () =>
          `PREPARE ${random.pick([...named.map(({ name }) => name), 'p1', '"all"', '"BEGIN"'])} AS SELECT ${loot}`,
      ],
      [3, () => `DECLARE c${number()} SCROLL CURSOR WITH HOLD FOR SELECT * FROM ${random.pick(readable)}`],
      [1, () => `DECLARE "all" CURSOR WITH HOLD FOR ${rows}`],
      [1, () => `LISTEN ${random.pick(['own', '"of all"'])}`],
      [1, () => `SELECT pg_advisory_lock${random.pick(['', '_shared'])}(${number()})`],
      [1, () => `SELECT pg_try_advisory_lock(${number()}, ${number()})`],
      [2, () => `SELECT ${loot}`],
      [1, () => `SET app.current_tenant_id = ${quote(tenant.id)}`],
      [
        1,
        () => `SET app.${random.pick(['loot', 'current_user_id', 'user_agent', 'encryption_keys'])} = 'left'`,
      ],
      [1, () => `SELECT setseed(0.5)`],
      [
        1,
        () =>
          `SET SESSION CHARACTERISTICS AS TRANSACTION ${random.pick(['READ ONLY', 'ISOLATION LEVEL SERIALIZABLE', 'DEFERRABLE'])}`,
      ],
      [
        1,
        () =>
          `SET ${random.pick(['ROLE application_role', 'SESSION AUTHORIZATION DEFAULT', 'ROLE llama_owner'])}`,
      ],
      [
        1,
        () =>
          `CREATE TEMPORARY ${random.pick(['TABLE', 'VIEW'])} own AS SELECT * FROM ${random.pick(readable)}`,
      ],
      [1, () => `PREPARE TRANSACTION 'left'`],
      [0.3, () => `SET statement_timeout = 1`],
      [0.3, () => `LOAD 'auto_explain'`],
    ])();
  }

  /** A search for what another tenant left. */
  seek(): string {
    const { random } = this;
    return random.pick([
      `FETCH ALL FROM ${random.pick(['c0', 'c1', 'c2', 'c3', '"all"'])}`,
      `EXECUTE ${random.pick(['get', 'measured', 'configured'])}('x')`,
      `EXECUTE ${random.pick(['p1', '"all"', '"BEGIN"'])}`,
      `SELECT encode(lo_get(oid), 'escape') FROM pg_largeobject_metadata`,
      `SELECT current_setting('app.loot', true), current_setting('application_name'), current_setting('app.current_user_id', true)`,
      'SELECT name, setting, reset_val, source FROM pg_settings',
      'SELECT * FROM pg_prepared_statements',
      'SELECT * FROM pg_cursors',
      'SELECT * FROM pg_locks',
      'SELECT query, application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()',
      'SELECT lastval()',
      'TABLE pg_temp.own',
      'TABLE own',
      'TABLE pg_prepared_xacts',
      'SELECT pg_listening_channels()',
      'SHOW ALL',
    ]);
  }

  #setting(): string {
    const { random } = this;
    const { name, type, values } = random.pick(this.settings);
    const value = type === 'string' ? (texts[name] ?? 'left') : random.pick(values);
    return random.chance(0.3)
      ? `SELECT set_config('${name}', ${quote(value)}, false)`
      : `SET ${name} = ${quote(value)}`;
  }
}
