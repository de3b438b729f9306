/** Who may become whom, and who owns what. */
import { isPlatform } from '../../database/overrides.ts';
import { databaseOwner } from '../../database/schema/roles.ts';
import { checksOf, type Finding } from '../check.ts';
import {
  everyAdministrator,
  groupRoles,
  loginRoles,
  type Model,
  modelOf,
  owner,
  ownerRoles,
} from '../model.ts';
import { blind, counted, judge } from '../outcome.ts';
import type { Membership } from '../snapshot/roles.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** Predefined roles for monitoring, which show statistics and the statements of other sessions, but no rows. */
const monitoring = new Set([
  'pg_monitor',
  'pg_read_all_settings',
  'pg_read_all_stats',
  'pg_stat_scan_tables',
]);

interface Options {
  readonly inherit: boolean;
  readonly set: boolean;
  readonly admin: boolean;
}

/** The options that a membership may have; undefined if it may not exist. An option that is false here must be off. */
function allowed(
  { role, member, admin, inherit }: Membership,
  model: Model,
  isAdministrator: (name: string) => boolean,
  known: ReadonlyMap<string, string> | undefined,
): Options | undefined {
  const everything = { inherit: true, set: true, admin: true };
  if (isPlatform(member)) return everything;
  if (role === everyAdministrator) return isAdministrator(member) ? everything : undefined;
  if (member === owner)
    return groupRoles.includes(role) ? { inherit: false, set: true, admin: false } : undefined;
  if (groupRoles.includes(member)) return undefined;
  // The creator of a role administers it, also after it has left. Only as the owner it acts.
  const former = admin && !inherit && !model.isUsed(member);
  if (groupRoles.includes(role) && (model.reach(member).has(everyAdministrator) || former)) {
    return { inherit: false, set: true, admin: true };
  }
  if (ownerRoles.includes(role)) return undefined;
  if (loginRoles.some((name) => name === role)) {
    // ROL-005 and ROL-006 compare the group roles of logins with the settings.
    return { inherit: true, set: false, admin: false };
  }
  const administers = isAdministrator(member) || former;
  // To become an administrator is to be one, and a login of the application has its rights in every tenant.
  if (model.reach(role).has(everyAdministrator)) return administers ? everything : undefined;
  if (model.reach(member).has(everyAdministrator) || former) return everything;
  if (loginRoles.some((name) => model.reach(role).has(name))) return undefined;
  const ours = known?.has(member) ?? loginRoles.some((name) => model.reach(member).has(name));
  if (ours) return undefined;
  return isPlatform(role) && !monitoring.has(role) ? undefined : everything;
}

/** Administrators: of the deployment, by Entra's label, and the login that verifies. */
function administratorsOf(snapshot: Snapshot, named: readonly string[]): (name: string) => boolean {
  const labelled = snapshot.roles.filter((role) => role.entraAdministrator).map(({ name }) => name);
  const all = new Set([...named, ...labelled, snapshot.server.login]);
  const bootstrap = snapshot.roles.find((role) => role.bootstrap)?.name;
  return (name) => all.has(name) || name === bootstrap;
}

export const checks = checksOf('roles', [
  {
    id: 'ROL-013',
    name: 'memberships-have-their-options',
    loses: 'control',
    title: 'Every role may become only the roles that it is meant to become',
    inspects: `pg_auth_members: ADMIN, INHERIT and SET of every membership in ${groupRoles.join(', ')}, in azure_pg_admin, administrators, logins and predefined roles, and every membership of the logins`,
    why: 'With SET a login of maintenance_role deletes under another name than its own, with ADMIN it passes its role on, with azure_pg_admin it is the administrator. A predefined role opens tables, files or sessions around every grant.',
    remedy:
      'REVOKE the role, or GRANT … WITH ADMIN FALSE, INHERIT TRUE, SET FALSE, as llama-db post-deploy does for the logins of the environment.',
    source: 'PostgreSQL manual, GRANT (GRANT on Roles); docs/decisions.md, 11a',
    run: ({ snapshot, deployment }) => {
      const model = modelOf(snapshot);
      const { login } = snapshot.server;
      const asBootstrap = snapshot.roles.some(({ name, bootstrap }) => bootstrap && name === login);
      // Any other login would find each administrator a stranger.
      if (!deployment && !asBootstrap && !model.reach(login).has(everyAdministrator))
        return blind('no deployment names the administrators, and the login is not an administrator');
      const isAdministrator = administratorsOf(
        snapshot,
        deployment
          ? [
              deployment.administrator,
              ...(deployment.passwordAdministrator ? [deployment.passwordAdministrator] : []),
              ...(deployment.azure?.administrators ?? []).map(({ name }) => name),
            ]
          : [],
      );
      const known = deployment && new Map(deployment.logins.map(({ name, role }) => [name, role]));
      return judge(
        counted(snapshot.memberships.length, 'membership'),
        snapshot.memberships.flatMap((membership): Finding[] => {
          const { role, member, admin, inherit, set } = membership;
          const object = `role ${member}`;
          const may = allowed(membership, model, isAdministrator, known);
          if (!may) return [{ object, detail: `is a member of ${role}` }];
          const excess = [
            admin && !may.admin && 'ADMIN',
            inherit && !may.inherit && 'INHERIT',
            set && !may.set && 'SET',
          ].filter((option) => option !== false);
          if (excess.length === 0) return [];
          return [{ object, detail: `is a member of ${role} with ${excess.join(', ')}` }];
        }),
      );
    },
  },
  {
    id: 'ROL-014',
    name: 'owners-are-not-logged-in-as',
    loses: 'control',
    title: 'No object belongs to a role that anybody logs in as',
    inspects: `pg_shdepend: the owner of every object of every kind in this database, of the database and of objects of the whole server, against ${ownerRoles.join(', ')} and the platform's roles`,
    why: 'The owner of a view can put a rule on it, and the owner of a function can replace it: the next caller runs that with its own keys and rows. The owner of a schema can drop everything in it.',
    remedy: `ALTER … OWNER TO ${owner}, or DROP it. An extension may belong to an administrator.`,
    source: 'PostgreSQL manual, Rules and Privileges; docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(snapshot.owned.length, 'object'),
        snapshot.owned
          .filter(({ object, owner: by, ofExtension }) => {
            // Every administrator has its rights, and it owns nothing but the database.
            if (by === databaseOwner && object.startsWith('database ')) return false;
            if (isPlatform(by) || ownerRoles.includes(by) || !model.isUsed(by)) return false;
            return !(ofExtension && model.reach(by).has(everyAdministrator));
          })
          .map(({ object, owner: by }) => ({ object, detail: `belongs to ${by}` })),
      );
    },
  },
  {
    id: 'ROL-015',
    name: 'nothing-leads-out-of-the-database',
    loses: 'barrier',
    title: 'No foreign server, user mapping, subscription or event trigger exists',
    inspects: 'objects of these kinds with an owner, in this database and on the server',
    why: 'A foreign server with a user mapping sends rows to another server under a stored password, a subscription writes rows past the policies, and an event trigger runs its code in every migration.',
    remedy:
      'DROP SERVER … CASCADE, DROP SUBSCRIPTION …, DROP EVENT TRIGGER …. Accept the finding while data is being moved.',
    source: 'PostgreSQL manual, CREATE USER MAPPING, CREATE SUBSCRIPTION, CREATE EVENT TRIGGER',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.outward.length, 'object'),
        snapshot.outward.map((object) => ({ object, detail: 'exists' })),
      ),
  },
]);
