/** Executions of a job: a real process each, whose output is kept like the console logs of its environment. */
import { randomBytes } from 'node:crypto';
import { parentOf, sameId } from '../../../../azure/resource-id.ts';
import { isObject, type JsonObject, objectAt, objectsAt, textAt, textsAt } from '../../../../core/json.ts';
import type { RunContainer } from '../../contract.ts';
import type { Azure } from '../../core/context.ts';
import { notPlayed } from '../../core/refusal.ts';
import type { Resource } from '../../core/resource-store.ts';
import { startIdentityEndpoint } from './identity-endpoint.ts';

export const executionType = 'Microsoft.App/jobs/executions';
const identityType = 'Microsoft.ManagedIdentity/userAssignedIdentities';
const diagnosticType = 'Microsoft.Insights/diagnosticSettings';

/** Milliseconds until a line can be queried. In Azure these are minutes. */
const ingestionMs = 300;

/** A row of the table ContainerAppConsoleLogs, as far as it is queried. */
export interface ConsoleLine {
  readonly environmentId: string;
  readonly replica: string;
  readonly stream: string;
  readonly log: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export class Executions {
  readonly #azure: Azure;
  readonly #run: RunContainer | undefined;
  readonly #lines: Map<string, readonly ConsoleLine[]>;
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>();

  constructor(azure: Azure, run: RunContainer | undefined) {
    this.#azure = azure;
    this.#run = run;
    this.#lines = azure.memory.map('containerConsole');
  }

  /** Starts one. @param template overrides that of the job */
  start(job: Resource, template: JsonObject): Resource {
    if (!this.#run)
      throw notPlayed('ContainersNotPlayed', 'This local Azure was started without containers.');
    const own = objectAt(job.body, 'properties', 'template');
    const [container] = objectsAt(
      objectsAt(template, 'containers').length > 0 ? template : own,
      'containers',
    );
    if (!container) throw notPlayed('ContainersNotPlayed', 'A job without a container is not played.');
    const name = `${job.name}-${randomBytes(4).toString('hex').slice(0, 7)}`;
    const execution = this.#azure.store.put(`${job.id}/executions/${name}`, {
      properties: {
        status: 'Running',
        startTime: new Date().toISOString(),
        template: { containers: [container] },
      },
    });
    const stop = new AbortController();
    const ended = this.#play(job, execution, container, stop.signal, this.#run).finally(() =>
      this.#running.delete(execution.id),
    );
    this.#running.set(execution.id, { stop, ended });
    return execution;
  }

  /** Ends one. @returns once its process is gone */
  async stop(execution: Resource): Promise<void> {
    const running = this.#running.get(execution.id);
    running?.stop.abort();
    await running?.ended;
  }

  async stopAll(): Promise<void> {
    for (const { stop } of this.#running.values()) stop.abort();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** Lines of the console of an environment that can be queried by now, oldest first. */
  console(environmentId: string): readonly ConsoleLine[] {
    const now = Date.now();
    return [...this.#lines.values()]
      .flat()
      .filter((line) => sameId(line.environmentId, environmentId) && line.at + ingestionMs <= now);
  }

  async #play(
    job: Resource,
    execution: Resource,
    container: JsonObject,
    signal: AbortSignal,
    run: RunContainer,
  ): Promise<void> {
    const environmentId = textAt(job.body, 'properties', 'environmentId') ?? '';
    const identities = await startIdentityEndpoint(this.#azure, this.#clientIds(job));
    const replica = `${execution.name}-${randomBytes(3).toString('hex').slice(0, 5)}`;
    const timeout = Number(objectAt(job.body, 'properties', 'configuration')['replicaTimeout']);
    const limit = AbortSignal.timeout(timeout * 1000);
    try {
      const exitCode = await run({
        image: textAt(container, 'image') ?? '',
        command: [...textsAt(container, 'command'), ...textsAt(container, 'args')],
        environment: {
          ...variablesOf(container),
          ...identities.environment,
          CONTAINER_APP_JOB_NAME: job.name,
          CONTAINER_APP_JOB_EXECUTION_NAME: execution.name,
          CONTAINER_APP_REPLICA_NAME: replica,
        },
        signal: AbortSignal.any([signal, limit]),
        onLine: (stream, log) => this.#keep({ environmentId, replica, stream, log, at: Date.now() }),
      });
      // Azure leaves an execution whose image it cannot pull in this status.
      if (exitCode !== undefined)
        this.#end(execution, signal.aborted ? 'Stopped' : exitCode === 0 ? 'Succeeded' : 'Failed');
    } catch {
      this.#end(execution, 'Failed');
    } finally {
      await identities.stop();
    }
  }

  #end(execution: Resource, status: string): void {
    const properties = objectAt(execution.body, 'properties');
    execution.body = { properties: { ...properties, status, endTime: new Date().toISOString() } };
  }

  /** Without a diagnostic setting with these logs, nothing is kept. */
  #keep(line: ConsoleLine): void {
    const sent = this.#azure.store
      .ofType(diagnosticType)
      .filter(({ id }) => sameId(parentOf(id), line.environmentId))
      .flatMap(({ body }) => objectsAt(body, 'properties', 'logs'))
      .some(
        (one) =>
          one['enabled'] !== false &&
          (one['categoryGroup'] === 'allLogs' || one['category'] === 'ContainerAppConsoleLogs'),
      );
    if (!sent) return;
    this.#lines.set(line.replica, [...(this.#lines.get(line.replica) ?? []), line]);
  }

  #clientIds(job: Resource): string[] {
    const assigned = Object.keys(objectAt(job.body, 'identity', 'userAssignedIdentities'));
    return this.#azure.store
      .ofType(identityType)
      .filter(({ id }) => assigned.some((one) => sameId(one, id)))
      .flatMap(({ body }) => textAt(body, 'properties', 'clientId') ?? []);
  }
}

function variablesOf(container: JsonObject): Record<string, string> {
  return Object.fromEntries(
    objectsAt(container, 'env')
      .filter(isObject)
      .map((one) => [textAt(one, 'name') ?? '', textAt(one, 'value') ?? '']),
  );
}
