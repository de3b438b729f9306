/** Metrics of the pools, circuit breakers and replicas of this process. */
import type { Database } from '../database.ts';
import type { ListenerGauges } from '../pool/listener.ts';
import type { TargetGauges } from '../pool/target.ts';
import type { Collector, Sample } from './families.ts';

/** The collector of a Database object. */
export function processCollector(db: Pick<Database, 'gauges'>): Collector {
  return {
    name: 'process',
    collect: async () =>
      Object.entries(db.gauges).flatMap(([cell, { writer, replicas, listener }]) => [
        ...targetSamples({ cell, target: 'writer' }, writer),
        ...listenerSamples(cell, listener),
        ...replicas.flatMap((replica) => {
          const labels = { cell, target: replica.name };
          const value = {
            name: 'llama_replica_following',
            value: Number(replica.state === 'following'),
            labels,
          } as const;
          return [
            ...targetSamples(labels, replica),
            value,
            ...known('llama_replica_lag_seconds', replica.lagMs, labels),
            ...known('llama_replica_latency_seconds', replica.latencyMs, labels),
          ];
        }),
      ]),
  };
}

function listenerSamples(cell: string, { isListening, channels }: ListenerGauges): readonly Sample[] {
  return channels === 0 ? [] : [{ name: 'llama_listening', value: Number(isListening), labels: { cell } }];
}

function targetSamples(labels: Readonly<Record<string, string>>, gauges: TargetGauges): readonly Sample[] {
  const { idle, inUse, opening, waiting, breaker } = gauges;
  return [
    ...Object.entries({ idle, in_use: inUse, opening }).map(
      ([state, value]): Sample => ({ name: 'llama_pool_connections', value, labels: { ...labels, state } }),
    ),
    { name: 'llama_pool_waiting', value: waiting, labels },
    ...(['closed', 'half-open', 'open'] as const).map(
      (state): Sample => ({
        name: 'llama_breaker_state',
        value: Number(state === breaker),
        labels: { ...labels, state },
      }),
    ),
  ];
}

function known(
  name: Sample['name'],
  ms: number | undefined,
  labels: Sample['labels'] & object,
): readonly Sample[] {
  return ms === undefined || !Number.isFinite(ms) ? [] : [{ name, value: ms / 1000, labels }];
}
