/**
 * Long-running operations of the control plane.
 *
 * An operation changes what clients see when it starts (a server is `Updating`), takes its time, and has its effect
 * when it ends. While one runs on a Flexible Server, every other one on the same server is refused with ServerIsBusy:
 * https://learn.microsoft.com/azure/postgresql/troubleshoot/troubleshoot-common-errors-flexible-server
 */
import { randomUUID } from 'node:crypto';
import { idKey, nameOf, typeOf } from '../../../azure/resource-id.ts';
import type { JsonObject } from '../../../core/json.ts';
import { server as serverRefusals } from '../refusals/flexible-server.ts';
import { general } from '../refusals/general.ts';
import { ArmError, type AzureRequest, type AzureResponse, repeated } from './http.ts';
import { pollingAddresses } from './polling.ts';

export type OperationOutcome = 'InProgress' | 'Succeeded' | 'Failed' | 'Refused' | 'Abandoned';

/** One change of the control plane, long or immediate, for timelines and assertions. */
export interface OperationRecord {
  readonly id: string;
  readonly method: string;
  /** Id of the resource it changes. */
  readonly target: string;
  readonly type: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  endedAt: number | undefined;
  outcome: OperationOutcome;
  /** Code and sentence of a failure or refusal. */
  error: { readonly code: string; readonly message: string } | undefined;
}

export interface OperationRequest {
  readonly method: string;
  readonly target: string;
  /** Servers that are busy until it ends. @default - none */
  readonly busyOn?: readonly string[];
  /** Effect of a successful operation. An ArmError that it throws fails the operation. */
  readonly effect?: () => void | Promise<void>;
  /** Undoes changes after a failure. */
  readonly failed?: () => void;
}

/** Milliseconds that an operation takes, or a promise that it waits for. */
export type Latency = (
  operation: Pick<OperationRecord, 'method' | 'type' | 'target'>,
) => number | Promise<void>;

/** About a thousandth of Azure's times: the proportions of a real deployment at the speed of tests. */
export const quickLatency = ({ method, type }: Parameters<Latency>[0]): number => {
  switch (type.toLowerCase()) {
    case 'microsoft.dbforpostgresql/flexibleservers':
      return method === 'PUT' ? 400 : 120;
    case 'microsoft.network/privateendpoints':
      return 150;
    case 'microsoft.dbforpostgresql/flexibleservers/configurations':
      return 30;
    default:
      return 40;
  }
};

interface Running {
  readonly record: OperationRecord;
  readonly ended: Promise<void>;
}

export interface OperationsOptions {
  readonly latency: Latency;
  readonly subscriptionId: string;
  /** Seconds of the Retry-After header on every poll. */
  readonly retryAfterSeconds: number;
  /** Receives what an operation met that is not known here, or a defect of the local Azure. */
  readonly onUnknown: (message: string) => void;
  /** Receives the name of the refusal with which an operation failed. */
  readonly onRefused: (refusal: string) => void;
}

export class Operations {
  readonly records: OperationRecord[] = [];
  readonly #running = new Map<string, Running>();
  readonly #busy = new Map<string, OperationRecord>();
  readonly #timers = new Map<NodeJS.Timeout, () => void>();
  #generation = 0;
  readonly #waiting = new Set<() => void>();

  constructor(readonly options: OperationsOptions) {}

  /** Adds an immediate change to the record. */
  note(method: string, target: string, startedAt: number, error?: ArmError): void {
    this.records.push({
      id: randomUUID(),
      method,
      target,
      type: typeOf(target),
      startedAt,
      endedAt: Date.now(),
      outcome: error ? 'Refused' : 'Succeeded',
      error: error && { code: error.code, message: error.message },
    });
  }

  /** @throws ArmError 409 ServerIsBusy while another operation runs on one of the servers */
  refuseWhenBusy(servers: readonly string[]): void {
    for (const server of servers) {
      const other = this.#busy.get(idKey(server));
      if (other)
        throw serverRefusals.busy(nameOf(server), `${other.method} ${other.type} '${nameOf(other.target)}'`);
    }
  }

  isBusy(server: string): boolean {
    return this.#busy.has(idKey(server));
  }

  start(request: OperationRequest): OperationRecord {
    const servers = request.busyOn ?? [];
    this.refuseWhenBusy(servers);
    const record: OperationRecord = {
      id: randomUUID(),
      method: request.method,
      target: request.target,
      type: typeOf(request.target),
      startedAt: Date.now(),
      endedAt: undefined,
      outcome: 'InProgress',
      error: undefined,
    };
    this.records.push(record);
    for (const server of servers) this.#busy.set(idKey(server), record);
    this.#running.set(record.id, { record, ended: this.#run(record, request, servers) });
    return record;
  }

  async #run(record: OperationRecord, request: OperationRequest, servers: readonly string[]): Promise<void> {
    const generation = this.#generation;
    const takes = this.options.latency(record);
    await (typeof takes === 'number' ? this.#pause(takes) : this.#unlessAbandoned(takes));
    try {
      if (generation === this.#generation) await request.effect?.();
      record.outcome = generation === this.#generation ? 'Succeeded' : 'Abandoned';
    } catch (error) {
      request.failed?.();
      record.outcome = 'Failed';
      if (!(error instanceof ArmError) || error.status === 501)
        this.options.onUnknown(`${record.method} ${record.target}: ${String(error)}`);
      if (error instanceof ArmError && error.refusal !== undefined) this.options.onRefused(error.refusal);
      record.error =
        error instanceof ArmError
          ? { code: error.code, message: error.message }
          : { code: 'InternalServerError', message: String(error) };
    }
    record.endedAt = Date.now();
    for (const server of servers) this.#busy.delete(idKey(server));
  }

  /** Waits until an operation has ended. */
  async wait(id: string): Promise<OperationRecord | undefined> {
    const running = this.#running.get(id);
    await running?.ended;
    return running?.record;
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, milliseconds);
      this.#timers.set(timer, resolve);
    });
  }

  #unlessAbandoned(takes: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(resolve);
      takes.then(resolve, reject).finally(() => this.#waiting.delete(resolve));
    });
  }

  /** Headers with the addresses at which a client asks about the operation. */
  pollingHeaders(record: OperationRecord, request: AzureRequest): Record<string, string> {
    const { status, result } = pollingAddresses(this.options.subscriptionId, record.type, record.target);
    const version = `api-version=${request.query.get('api-version') ?? ''}`;
    return {
      'azure-asyncoperation': `https://${request.host}${status}/${record.id}?${version}`,
      location: `https://${request.host}${result}/${record.id}?${version}`,
      'retry-after': String(this.options.retryAfterSeconds),
    };
  }

  /**
   * Answer to a poll. The poll waits for up to a second while the operation runs, so that a client that retries after
   * zero seconds does not send hundreds of requests.
   */
  async poll(id: string): Promise<AzureResponse> {
    const running = this.#running.get(id);
    if (!running) throw general.operationNotFound(id);
    await Promise.race([running.ended, this.#pause(1000)]);
    const { record } = running;
    const body: JsonObject = {
      id: `/operations/${record.id}`,
      name: record.id,
      status: record.outcome,
      startTime: new Date(record.startedAt).toISOString(),
    };
    if (record.endedAt !== undefined) body['endTime'] = new Date(record.endedAt).toISOString();
    if (record.error) body['error'] = { code: record.error.code, message: record.error.message };
    return { status: 200, headers: { 'retry-after': String(this.options.retryAfterSeconds) }, body };
  }

  /**
   * Answer to an operation's `Location`: 202 while it runs, then the answer that an immediate change would have had.
   * https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
   *
   * @param shown answers with the document of the changed resource
   */
  async result(
    id: string,
    request: AzureRequest,
    shown: (target: string) => Promise<AzureResponse>,
  ): Promise<AzureResponse> {
    const running = this.#running.get(id);
    if (!running) throw general.operationNotFound(id);
    await Promise.race([running.ended, this.#pause(1000)]);
    const { record } = running;
    if (record.outcome === 'InProgress')
      return { status: 202, headers: this.pollingHeaders(record, request) };
    if (record.error) throw repeated(409, record.error);
    return record.method === 'DELETE' || record.method === 'POST' ? { status: 204 } : shown(record.target);
  }

  /** Waits until nothing runs. */
  async settled(): Promise<void> {
    for (;;) {
      const running = [...this.#running.values()].filter(({ record }) => record.outcome === 'InProgress');
      if (running.length === 0) return;
      await Promise.all(running.map(({ ended }) => ended));
    }
  }

  /** Ends every running operation without its effect, and waits for those that already take effect. */
  async abandon(): Promise<void> {
    this.#generation += 1;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
    for (const [timer, resolve] of this.#timers) {
      clearTimeout(timer);
      resolve();
    }
    this.#timers.clear();
    await this.settled();
  }

  stop(): void {
    for (const timer of this.#timers.keys()) clearTimeout(timer);
    this.#timers.clear();
  }
}
