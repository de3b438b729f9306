import type { Clock } from './clock.ts';
import type { Directory } from './directory.ts';
import type { AzureRequest, AzureResponse } from './http.ts';
import type { Memory } from './memory.ts';
import type { Operations } from './operations.ts';
import type { ResourceStore } from './resource-store.ts';
import type { Router } from './router.ts';
import type { Throttle } from './throttle.ts';

/** What every resource provider is given. */
export interface Azure {
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly router: Router;
  /** Where whatever outlives a request is kept. */
  readonly memory: Memory;
  readonly clock: Clock;
  /** @default - as many requests as anybody sends */
  readonly throttle: Throttle | undefined;
  /** Milliseconds until a role assignment has an effect. */
  readonly roleAssignmentDelayMs: number;
  readonly store: ResourceStore;
  readonly operations: Operations;
  readonly directory: Directory;
  /** Hands a request to whoever answers it, as the resource manager itself does for template deployments. */
  dispatch(request: AzureRequest): Promise<AzureResponse>;
}
