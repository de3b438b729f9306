/** The servers of some tenants: a writer and its replicas. */
import type { CellOptions, SharedOptions } from '../configuration/options.ts';
import { describeServer, resolveServer } from '../configuration/server.ts';
import { ConfigurationError } from '../errors.ts';
import { Listener, type ListenerGauges } from '../pool/listener.ts';
import { Target, type TargetGauges } from '../pool/target.ts';
import { LogHistory } from './log-history.ts';
import type { Lsn } from './lsn.ts';
import { Replica, type ReplicaState } from './replica.ts';

export interface ReadPreference {
  readonly maxLagMs: number;
  readonly atLeast: Lsn | undefined;
}

export interface ReplicaGauges extends TargetGauges {
  readonly name: string;
  readonly state: ReplicaState;
  /** Infinity if unknown. */
  readonly lagMs: number;
  readonly latencyMs: number | undefined;
}

export interface CellGauges {
  readonly writer: TargetGauges;
  readonly replicas: readonly ReplicaGauges[];
  readonly listener: ListenerGauges;
}

/** Milliseconds for the answer to a measurement of the writer. */
const measureMs = 2000;
const longestName = 50;

export class Cell {
  readonly name: string;
  /** Server, database and login, by which nested transactions recognise each other. */
  readonly key: string;
  readonly writer: Target;
  readonly replicas: readonly Replica[];
  readonly listener: Listener;
  readonly #history = new LogHistory();
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #measuring: Promise<void> | undefined;
  #isClosed = false;

  /** @throws ConfigurationError if a server's configuration is unusable */
  constructor(name: string, options: CellOptions, shared: SharedOptions) {
    const {
      timeouts = {},
      breaker = {},
      pool = {},
      replicaPool = {},
      applicationName = 'llama_mapper',
    } = shared;
    if (applicationName.length > longestName) {
      throw new ConfigurationError(
        'configuration/application-name-too-long',
        `applicationName has ${applicationName.length} characters`,
        'PostgreSQL cuts names at 63, and this library adds a suffix',
        `Use at most ${longestName} characters.`,
      );
    }
    const server = resolveServer(options);
    this.name = name;
    this.key = `${describeServer(server)} ${server.user}`;
    this.writer = new Target({
      ...{ server, kind: 'writer', name: `${name} writer`, applicationName: `${applicationName}_write` },
      ...{ pool, timeouts, breaker },
    });
    this.listener = new Listener({
      ...{ server, applicationName: `${applicationName}_listen`, connectMs: timeouts.connect ?? 10_000 },
      ...{ cancelMs: timeouts.ping ?? 2000, answerMs: 2 * (timeouts.ping ?? 2000) },
      ...{ startMs: timeouts.acquire ?? 15_000, pingEveryMs: timeouts.listenPing ?? 3000 },
    });
    this.replicas = (options.replicas ?? []).map((given) => {
      // Address and lookup are those of the writer's name only.
      const { address: _, lookup: __, ...inherited } = options;
      const target = new Target({
        server: resolveServer(given, inherited),
        kind: 'replica',
        name: given.name ?? `${name} replica ${given.host ?? ''}`.trim(),
        applicationName: `${applicationName}_read`,
        ...{ pool: replicaPool, timeouts, breaker },
      });
      return new Replica(target, this.#history);
    });
    this.#everyMs = shared.measureEveryMs ?? 1000;
    this.#measureLater(0);
  }

  get gauges(): CellGauges {
    return {
      writer: this.writer.gauges,
      listener: this.listener.gauges,
      replicas: this.replicas.map(({ target, state, lagMs, latencyMs }) => {
        return { ...target.gauges, name: target.name, state, lagMs, latencyMs };
      }),
    };
  }

  /** The cheapest server that is current enough: a replica, or the writer. */
  async reader({ maxLagMs, atLeast }: ReadPreference, excluded: ReadonlySet<Target>): Promise<Target> {
    const fit = this.replicas
      .filter((replica) => !excluded.has(replica.target) && replica.lagMs <= maxLagMs)
      .sort((one, other) => one.cost - other.cost);
    for (const replica of fit) {
      if (atLeast === undefined || (await replica.hasReplayed(atLeast))) return replica.target;
    }
    return this.writer;
  }

  /** Measures now: first the writer's position, then how far the replicas are. Does not throw. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async #measure(): Promise<void> {
    if (this.replicas.length === 0) return;
    await this.#measureWriter().catch(() => undefined);
    await Promise.all(this.replicas.map((replica) => replica.measure()));
  }

  async #measureWriter(): Promise<void> {
    const connection = await this.writer.acquire();
    try {
      const at = performance.now();
      const { rows } = await connection.run(measureMs, () =>
        connection.client.query<{ position: Lsn }>(
          'SELECT pg_catalog.pg_current_wal_lsn()::text AS position',
        ),
      );
      if (rows[0]) this.#history.add(at, rows[0].position);
    } catch (error) {
      this.writer.failed(error, connection);
      throw error;
    } finally {
      this.writer.release(connection);
    }
  }

  #measureLater(ms: number): void {
    if (this.#isClosed || this.replicas.length === 0) return;
    this.#timer = setTimeout(() => {
      void this.measure().finally(() => this.#measureLater(this.#everyMs));
    }, ms);
    this.#timer.unref();
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const targets = [this.writer, ...this.replicas.map(({ target }) => target)];
    await Promise.all([this.listener.close(), ...targets.map((target) => target.close(graceMs))]);
  }
}
