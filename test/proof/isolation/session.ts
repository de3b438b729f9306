/** A session of the application's login that records all output of the server. */
import pg from 'pg';

export interface Heard {
  /** SQLSTATE; absent after a success. */
  readonly code?: string;
  /** Rows returned or changed. */
  readonly rows: number;
  /** All output: values, column names, tags, COPY streams, errors with all their fields, notices, notifications. */
  readonly text: string;
  /** The error, or the tags and the sorted rows, for comparison with another database. */
  readonly comparable: string;
}

const asSent = { getTypeParser: () => (value: string) => value };

/** Lines for COPY … FROM STDIN into any table. */
const copied = 'a\tb\tc\n1\t2\t3\n\\.\n';

export class Session {
  #client: pg.Client | undefined;
  #heard: string[] = [];

  constructor(private readonly config: pg.ClientConfig) {}

  /** Sends one message of one or more statements, or one statement with values, and records its output. */
  async send(sql: string | pg.QueryConfig): Promise<Heard> {
    const client = await this.#connected();
    this.#heard = [];
    const copy: string[] = [];
    const { error, results } = await new Promise<{ error?: Error; results: pg.QueryArrayResult[] }>(
      (resolve) => {
        const query = new pg.Query(
          {
            ...(typeof sql === 'string' ? { text: sql } : sql),
            ...{ rowMode: 'array', types: asSent },
          } as pg.QueryConfig,
          ((failure: Error | null, result: pg.QueryArrayResult | pg.QueryArrayResult[]) =>
            resolve(failure ? { error: failure, results: [] } : { results: [result].flat() })) as never,
        );
        Object.assign(query, {
          handleCopyData: (message: { chunk: Buffer }) => copy.push(message.chunk.toString('latin1')),
          handleCopyInResponse: (connection: {
            sendCopyFromChunk(chunk: Buffer): void;
            endCopyFrom(): void;
          }) => {
            connection.sendCopyFromChunk(Buffer.from(copied));
            connection.endCopyFrom();
          },
        });
        client.query(query);
      },
    );
    if (error) return this.#failed(error, copy);
    const sets = results.map(({ command, rowCount, fields, rows }) => ({
      head: `${command} ${rowCount ?? ''} ${(fields ?? []).map(({ name }) => name).join(',')}`,
      rows: rows.map((row) => row.join('\t')),
    }));
    return {
      rows: results.reduce((sum, { rowCount, rows }) => sum + Math.max(rowCount ?? 0, rows.length), 0),
      text: [...sets.flatMap(({ head, rows }) => [head, ...rows]), ...copy, ...this.#heard].join('\n'),
      comparable: [...sets.flatMap(({ head, rows }) => [head, ...rows.sort()]), ...copy.sort()].join('\n'),
    };
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #failed(error: Error, copy: readonly string[]): Heard {
    const parts = error as pg.DatabaseError;
    if (parts.code === undefined || /^(57P0|08)/.test(parts.code)) {
      // The next statement gets a new session.
      void this.close();
    }
    const fields = [
      ...[parts.code, parts.message, parts.detail, parts.hint, parts.where, parts.position],
      ...[parts.internalPosition, parts.internalQuery, parts.schema, parts.table, parts.column],
      ...[parts.dataType, parts.constraint],
    ];
    const comparable = fields.map((part) => part ?? '').join('\n');
    return {
      code: parts.code ?? 'lost',
      rows: 0,
      text: [comparable, ...copy, ...this.#heard].join('\n'),
      comparable,
    };
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client) return this.#client;
    const client = new pg.Client(this.config);
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
    });
    client.on('notice', ({ message, detail, hint, where }) => {
      this.#heard.push([message, detail, hint, where].join('\n'));
    });
    client.on('notification', ({ channel, payload }) => {
      this.#heard.push(`${channel}: ${payload}`);
    });
    await client.connect();
    this.#client = client;
    return client;
  }
}
