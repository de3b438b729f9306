import { groupRoles, modelOf, tenantRole } from './model.ts';
import type { Grant, Relation, Snapshot } from './snapshot/facts.ts';

/** Whether one of the grants is the application role's, everybody's, or that of a login which serves tenants. */
export function reachesTenants(snapshot: Snapshot, grants: readonly Grant[], privilege?: string): boolean {
  const rights = rightsOfTenants(snapshot);
  return grants.some((grant) => rights.has(grant.grantee) && (!privilege || grant.privilege === privilege));
}

/**
 * Every role whose rights somebody who serves tenants has or can take on, PUBLIC among them. That one of them reaches
 * another group role is ISO-021's to say, and not told again for all that this role may do.
 */
export function rightsOfTenants(snapshot: Snapshot): ReadonlySet<string> {
  const model = modelOf(snapshot);
  const others = new Set<string>(groupRoles.filter((role) => role !== tenantRole));
  const all = model.tenantRoles.flatMap((role) => [...model.reach(role)]);
  return new Set(['PUBLIC', ...all.filter((role) => !others.has(role))]);
}

/** What is granted on a relation, as a whole and by column. */
export function grantsOn({ columnGrants }: Snapshot, { oid, grants }: Relation): readonly Grant[] {
  return [...grants, ...columnGrants.filter(({ relation }) => relation === oid)];
}
