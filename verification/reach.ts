import type { Finding } from './check.ts';
import { groupRoles, modelOf, tenantRole } from './model.ts';
import { listed } from './outcome.ts';
import type { Grant, Relation, Snapshot } from './snapshot/snapshot.ts';

/** Whether one of the grants gives a tenant role its privilege: by name, by membership or through PUBLIC. */
export function reachesTenants(snapshot: Snapshot, grants: readonly Grant[], privilege?: string): boolean {
  const roles = rolesOfTenants(snapshot);
  return grants.some((grant) => roles.has(grant.grantee) && (!privilege || grant.privilege === privilege));
}

/**
 * Roles whose privileges a tenant role has or can assume, including PUBLIC. Membership in another group role is left out:
 * ISO-021 reports it.
 */
export function rolesOfTenants(snapshot: Snapshot): ReadonlySet<string> {
  const model = modelOf(snapshot);
  const others = new Set<string>(groupRoles.filter((role) => role !== tenantRole));
  const all = model.tenantRoles.flatMap((role) => [...model.reach(role)]);
  return new Set(['PUBLIC', ...all.filter((role) => !others.has(role))]);
}

/** One finding per role that reaches one of the targets by membership. */
export function reaching(
  snapshot: Snapshot,
  roles: readonly string[],
  targets: readonly string[],
): readonly Finding[] {
  const model = modelOf(snapshot);
  return roles.flatMap((name) => {
    const reach = model.reach(name);
    const reached = targets.filter((target) => reach.has(target));
    return listed(`role ${name}`, 'reaches', reached);
  });
}

/** Grants on a relation and on its columns. */
export function grantsOn({ columnGrants }: Snapshot, { oid, grants }: Relation): readonly Grant[] {
  return [...grants, ...columnGrants.filter(({ relation }) => relation === oid)];
}
