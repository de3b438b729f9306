/** Options and interface of a local Azure. */
import type { BuiltInRoleName } from '../../azure/built-in-roles.ts';
import type { Clock } from './core/clock.ts';
import type { Azure } from './core/context.ts';
import type { Directory, IssuedToken, Principal } from './core/directory.ts';
import type { AzureRequest, AzureResponse } from './core/http.ts';
import type { AzureSnapshot } from './core/memory.ts';
import type { Latency, OperationRecord } from './core/operations.ts';
import type { ResourceStore } from './core/resource-store.ts';
import type { Incidents } from './providers/postgresql/actions.ts';
import type { ServerEvents } from './providers/postgresql/events.ts';
import type { BlobStore } from './providers/storage-blobs.ts';

export interface LocalAzureOptions {
  /** @default - a fixed example id */
  readonly subscriptionId?: string;
  /** @default - a fixed example id */
  readonly tenantId?: string;
  /** Secret of the deploying identity; choose a canary to search for afterwards. @default 'local-client-secret' */
  readonly clientSecret?: string;
  /** Built-in roles of the deploying identity on the subscription. @default Owner, Storage Blob Data Contributor */
  readonly clientRoles?: readonly BuiltInRoleName[];
  /** Seconds a token is valid. @default 3600 */
  readonly tokenLifetime?: number;
  /** Receives each token before its owner does, and is awaited. @default - nobody */
  readonly tokenIssued?: (token: IssuedToken) => void | Promise<void>;
  /** Milliseconds each long-running operation takes. @default quickLatency */
  readonly latency?: Latency;
  /** Seconds in the Retry-After header of an operation. @default 0 - clients poll at once */
  readonly retryAfterSeconds?: number;
  /** Containers that exist from the start, as `account/container`. @default - none */
  readonly containers?: readonly string[];
  /** Users, groups and applications of the directory beside the deploying identity. @default - none */
  readonly principals?: readonly Principal[];
  /**
   * Called for each request before it is answered, to fail it on purpose before anything is done.
   * @default - nothing fails
   */
  readonly intercept?: (request: AzureRequest) => Interception | Promise<Interception>;
  /**
   * Called with each answer before it is sent, to replace the answer to what is already done.
   * @default - every answer is sent
   */
  readonly interceptAnswer?: (
    request: AzureRequest,
    answer: AzureResponse,
  ) => Interception | Promise<Interception>;
  /**
   * Whether the resource manager answers 429 to more requests than Azure takes.
   * @default false: a deployment of an hour takes seconds here, with the same number of requests
   */
  readonly throttled?: boolean;
  /** Milliseconds until a role assignment has an effect; Azure's are minutes. @default 0 */
  readonly roleAssignmentDelayMs?: number;
  /** Names that others have, `postgres/name` or `vault/name`: they are unique in all of Azure. @default - none */
  readonly takenNames?: readonly string[];
  /** Text of the log of a server, by its name, that its diagnostics send to the workspace. @default - no line arrives */
  readonly serverLog?: (server: string) => string | undefined;
  /** Receives what happens to servers, inside the operation. @default - nobody */
  readonly serverEvents?: ServerEvents;
  /** Runs the containers of jobs. @default - none; the start of a job is not played */
  readonly runContainer?: RunContainer;
  /** More certificate authorities its clients must trust, PEM. @default - the system's only */
  readonly trust?: readonly string[];
}

/** A container that an execution of a Container Apps job runs. */
export interface ContainerRun {
  readonly image: string;
  /** Command with its arguments. */
  readonly command: readonly string[];
  /** Variables of the job and of the platform; the image adds its own. */
  readonly environment: Readonly<Record<string, string>>;
  /** Aborted when the execution is stopped. */
  readonly signal: AbortSignal;
  readonly onLine: (stream: 'stdout' | 'stderr', text: string) => void;
}

/** Runs a container inside the network to its end. @returns its exit status; undefined if there is no such image */
export type RunContainer = (run: ContainerRun) => Promise<number | undefined>;

/** The fate of a request: another answer, `drop` for a cut connection, or undefined for the usual one. */
export type Interception = AzureResponse | 'drop' | undefined;

/** One request and how it was answered. Neither bodies nor headers are kept: they may carry secrets. */
export interface RequestRecord {
  readonly at: number;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly apiVersion: string | undefined;
  readonly status: number | 'dropped';
}

export interface LocalAzure {
  readonly subscriptionId: string;
  readonly tenantId: string;
  /** Environment of a Terraform (and of anything that it starts) that is to deploy here. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same for a client inside the virtual network, where private endpoints are reached. */
  readonly networkEnvironment: Readonly<Record<string, string>>;
  /** Every request, oldest first. */
  readonly requests: readonly RequestRecord[];
  /** Requests that are not known here, one line each; a run with any proves nothing. */
  readonly unknown: readonly string[];
  /** Refusals that were answered, by their names in the catalogue, oldest first. */
  readonly refusals: readonly string[];
  /** Every change of the control plane, oldest first. */
  readonly operations: readonly OperationRecord[];
  readonly state: ResourceStore;
  readonly blobs: BlobStore;
  readonly directory: Directory;
  /** Shared keys that were given out and that open their workspace, by its id; none of them belongs in a state. */
  readonly sharedKeys: ReadonlyMap<string, string>;
  /** For scenarios that change Azure behind Terraform's back. */
  readonly azure: Azure;
  /** Changes that Azure makes by itself. */
  readonly incidents: Incidents;
  /** Its time, which can be advanced. */
  readonly clock: Clock;
  /**
   * All state of Azure: resources, deleted vaults, blobs with their leases, directory, tokens. Waits until no
   * operation runs. Neither the history (requests, operations) nor a PostgreSQL behind a server is part of it.
   */
  snapshot(): Promise<AzureSnapshot>;
  /** Restores a snapshot, of this or of another local Azure. Operations that still run are abandoned, without effect. */
  restore(snapshot: AzureSnapshot): Promise<void>;
  stop(): Promise<void>;
}
