import type { ResolvedEnvironment } from '../environments/resolved.ts';
import type { Foundation } from './foundation.ts';

/** Common input of the parts of a stack. */
export interface StackContext {
  readonly environment: ResolvedEnvironment;
  readonly foundation: Foundation;
  /** Entra tenant, by id or by reference. */
  readonly tenantId: string;
}
