import { modelOf, tenantRole } from './model.ts';
import type { Grant, Snapshot } from './snapshot/facts.ts';

/** Whether one of the grants is the application role's, its own or everybody's. */
export function reachesTenants(snapshot: Snapshot, grants: readonly Grant[], privilege?: string): boolean {
  const rights = modelOf(snapshot).rightsOf(tenantRole);
  return grants.some((grant) => rights.has(grant.grantee) && (!privilege || grant.privilege === privilege));
}
