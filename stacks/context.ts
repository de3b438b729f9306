import type { ResolvedEnvironment } from '../environments/resolved.ts';
import type { Foundation } from './foundation.ts';

/** What every part of a stack is built from, beside the parts that come before it. */
export interface StackContext {
  readonly environment: ResolvedEnvironment;
  readonly foundation: Foundation;
  /** Entra tenant, by id or by reference. */
  readonly tenantId: string;
}
