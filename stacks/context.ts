import type { ResolvedEnvironment } from '../environments/resolved.ts';
import type { Foundation } from './foundation.ts';
import type { Transitions } from './transitions.ts';

/** Common input of the parts of a stack. */
export interface StackContext {
  readonly environment: ResolvedEnvironment;
  readonly foundation: Foundation;
  /** Conditions of the plan of each server. */
  readonly transitions: Transitions;
  /** Entra tenant, by id or by reference. */
  readonly tenantId: string;
}
