/** Reading of facts. The query of a fact is beside the shape of its rows. */
import type pg from 'pg';
import { attempt } from '../../database/transaction.ts';

/** Gives a connection of the same login to another database of the server, and closes it afterwards. */
export type OpenDatabase = <Result>(
  database: string,
  work: (client: pg.Client) => Promise<Result>,
) => Promise<Result>;

export interface Reader {
  /** In the read-only transaction of the snapshot. */
  readonly client: pg.Client;
  /** @default - facts in other databases are unreadable */
  readonly openDatabase: OpenDatabase | undefined;
}

export type Source<Value> = (reader: Reader) => Promise<Value>;

export type Sources = Readonly<Record<string, Source<unknown>>>;

/** The values of sources, by their names. */
export type FactsOf<S extends Sources> = {
  readonly [Name in keyof S]: S[Name] extends Source<infer Value> ? Value : never;
};

/** A fact that was not read, and why. */
export interface Unreadable {
  readonly unreadable: string;
  /** It does not exist here. @default - the login may not read it */
  readonly absent?: true;
}

/** Rows that only llama_owner sees, or the reason why they could not be read. */
export type OwnersRows<Row> = { readonly rows: readonly Row[] } | Unreadable;

export const rows =
  <Row>(sql: string): Source<readonly Row[]> =>
  async ({ client }) =>
    (await client.query<Row & pg.QueryResultRow>(sql)).rows;

/** @throws Error if the query returns no row */
export const row =
  <Row>(sql: string): Source<Row> =>
  async (reader) => {
    const [first] = await rows<Row>(sql)(reader);
    if (first === undefined) throw new Error(`a query of the snapshot returned no row: ${sql.trim()}`);
    return first;
  };

export const mapped =
  <From, To>(source: Source<From>, map: (value: From) => To): Source<To> =>
  async (reader) =>
    map(await source(reader));

/**
 * Reads as llama_owner: a member of azure_pg_admin may read every table, but row-level security still applies to it.
 */
export const asOwner =
  <Row>(read: Source<readonly Row[]>): Source<OwnersRows<Row>> =>
  async (reader) => {
    const { client } = reader;
    const result = await attempt(client, async () => {
      await client.query('SET LOCAL ROLE llama_owner');
      const found = await read(reader);
      await client.query('SET ROLE NONE');
      return found;
    });
    return 'value' in result ? { rows: result.value } : { unreadable: result.refused.message };
  };

/** One after the other: they share a connection. */
export const nested =
  <S extends Sources>(sources: S): Source<FactsOf<S>> =>
  async (reader) => {
    const facts: Record<string, unknown> = {};
    for (const [name, read] of Object.entries(sources)) facts[name] = await read(reader);
    return facts as FactsOf<S>;
  };

/** Condition: the schema belongs to users, neither to the system nor to a session. */
export const userSchema = (name: string) => `${name} !~ '^pg_' AND ${name} <> 'information_schema'`;

export { notOfExtension } from '../../database/schema/sql.ts';
