import type { Clock } from './clock.ts';
import type { Directory } from './directory.ts';
import type { AzureRequest, AzureResponse } from './http.ts';
import type { Memory } from './memory.ts';
import type { Operations } from './operations.ts';
import type { ResourceStore } from './resource-store.ts';
import type { Router } from './router.ts';
import type { Throttle } from './throttle.ts';

/** The parts that every resource provider receives. */
export interface Azure {
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly router: Router;
  /** Keeps everything that outlives a request. */
  readonly memory: Memory;
  readonly clock: Clock;
  /** @default - no limit */
  readonly throttle: Throttle | undefined;
  /** Milliseconds until a role assignment has an effect. */
  readonly roleAssignmentDelayMs: number;
  readonly store: ResourceStore;
  readonly operations: Operations;
  readonly directory: Directory;
  /** Answers a request that the resource manager makes itself, for a template deployment. */
  dispatch(request: AzureRequest): Promise<AzureResponse>;
}
