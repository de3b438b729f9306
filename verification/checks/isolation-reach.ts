/** Ways around the policies with the rights of another role: memberships, views, functions, rules. */
import { isPlatform } from '../../database/overrides.ts';
import { viewIsTenantBound } from '../../database/schema/policy.ts';
import { checksOf, type Finding } from '../check.ts';
import { granted, groupRoles, modelOf, nameOf, signatureOf, tenantRole } from '../model.ts';
import { counted, judge } from '../outcome.ts';
import { grantsOn, reachesTenants, reaching } from '../reach.ts';
import type { Relation, Routine } from '../snapshot/snapshot.ts';

/**
 * Whether nobody can shadow the names of a function: it sets search_path, with pg_temp last. A path that does not name
 * pg_temp, even an empty one, searches it first.
 */
function setsSafePath({ settings }: Routine): boolean {
  const path = settings.find((setting) => setting.startsWith('search_path='))?.slice('search_path='.length);
  if (path === undefined) return false;
  const schemas = path.split(',').map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
  return schemas.at(-1) === 'pg_temp';
}

export const checks = checksOf('isolation', [
  {
    id: 'ISO-020',
    name: 'no-role-bypasses-row-security',
    loses: 'isolation',
    title: 'No role bypasses row-level security',
    inspects: "SUPERUSER and BYPASSRLS in pg_roles, except for the platform's own roles",
    why: 'BYPASSRLS is not inherited, but every member can SET ROLE to the role, and then no policy applies.',
    remedy: 'ALTER ROLE … NOBYPASSRLS. Give a role that must see all tenants its own policy.',
    source: 'docs/decisions.md, 15; pgrls SEC016, SEC029',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.roles.length, 'role'),
        snapshot.roles
          .filter(
            ({ name, bootstrap, superuser, bypassRls }) =>
              (superuser || bypassRls) && !bootstrap && !isPlatform(name),
          )
          .map(({ name, superuser }) => ({
            object: `role ${name}`,
            detail: superuser ? 'is a superuser' : 'has BYPASSRLS',
          })),
      ),
  },
  {
    id: 'ISO-021',
    name: 'tenant-reaches-no-group-role',
    loses: 'isolation',
    title: 'No tenant role can assume another group role',
    inspects: `roles that ${tenantRole} and its members reach by membership, except for administrators`,
    why: 'SET ROLE needs no password. A login that serves tenants and is also in admin_role has no isolation at all.',
    remedy: 'REVOKE the other role from it: one login, one group role.',
    source: 'docs/decisions.md, 11a; pgrls SEC029',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const members = model.tenantRoles.filter((name) => name !== tenantRole);
      return judge(
        `${tenantRole} and ${counted(members.length, 'member')}`,
        reaching(
          snapshot,
          model.tenantRoles,
          groupRoles.filter((role) => role !== tenantRole),
        ),
      );
    },
  },
  {
    id: 'ISO-022',
    name: 'materialized-views-closed-to-tenants',
    loses: 'isolation',
    title: 'No tenant role has privileges on a materialized view',
    inspects: 'privileges of the application role and its logins on materialized views and their columns',
    why: 'A materialized view cannot have row-level security: a role that may read it reads the rows of every tenant.',
    remedy: `REVOKE ALL ON … FROM ${tenantRole}; put a security_barrier view with the tenant condition in front of it.`,
    source: 'splinter 0016; pgrls VIEW003; PostgreSQL manual, CREATE POLICY',
    run: ({ snapshot }) => {
      const views = snapshot.relations.filter(({ kind }) => kind === 'm');
      return judge(
        counted(views.length, 'materialized view'),
        views
          .filter((view) => reachesTenants(snapshot, grantsOn(snapshot, view)))
          .flatMap((view) => granted(nameOf(view), grantsOn(snapshot, view))),
      );
    },
  },
  {
    id: 'ISO-023',
    name: 'tenant-views-bind-tenant',
    loses: 'isolation',
    title: 'Every view that tenants can read is limited to their tenant',
    inspects: `views on which ${tenantRole}, its logins or PUBLIC have a privilege: security_invoker, or security_barrier with one relation and the tenant condition`,
    why: "A view reads with the rights of its owner. Without security_barrier a condition in the tenant's query can run before the filter and reveal rows in an error.",
    remedy:
      'ALTER VIEW … SET (security_invoker = true), or end the view with the tenant condition and SET (security_barrier = true).',
    source: 'splinter 0010; pgrls VIEW001, VIEW002; PostgreSQL manual, Rules and Privileges',
    run: ({ snapshot }) => {
      const views = snapshot.relations.filter(
        (relation) => relation.kind === 'v' && reachesTenants(snapshot, grantsOn(snapshot, relation)),
      );
      const has = ({ options }: Relation, option: string) =>
        options.some((entry) => new RegExp(`^${option}=(true|on|1|yes)$`).test(entry));
      return judge(
        counted(views.length, 'view'),
        views.flatMap((view): Finding[] => {
          if (has(view, 'security_invoker')) return [];
          if (!viewIsTenantBound(view.definition ?? '')) {
            return [{ object: nameOf(view), detail: `reads as ${view.owner} without the tenant condition` }];
          }
          return has(view, 'security_barrier')
            ? []
            : [{ object: nameOf(view), detail: 'has no security_barrier' }];
        }),
      );
    },
  },
  {
    id: 'ISO-024',
    name: 'definer-functions-fix-search-path',
    loses: 'barrier',
    title: 'Every SECURITY DEFINER function sets search_path with pg_temp last',
    inspects: 'pg_proc.prosecdef and proconfig',
    why: 'pg_temp is searched first unless the path names it: a temporary table of the caller replaces the table that the function means, with the rights of its owner.',
    remedy: 'ALTER FUNCTION … SET search_path = pg_catalog, pg_temp, and qualify every name.',
    source:
      'splinter 0011; pgrls SEC015; PostgreSQL manual, CREATE FUNCTION; reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) => {
      const definers = snapshot.functions.filter(({ securityDefiner }) => securityDefiner);
      return judge(
        counted(definers.length, 'SECURITY DEFINER function'),
        definers
          .filter((routine) => !setsSafePath(routine))
          .map((routine) => ({
            object: signatureOf(routine),
            detail:
              routine.settings.find((setting) => setting.startsWith('search_path=')) ?? 'sets no search_path',
          })),
      );
    },
  },
  {
    id: 'ISO-025',
    name: 'functions-closed-to-public',
    loses: 'barrier',
    title: 'PUBLIC may not execute any function',
    inspects: 'EXECUTE for PUBLIC on functions outside extensions',
    why: 'PostgreSQL grants EXECUTE on a new function to PUBLIC, so tenants could call functions that are meant for maintenance.',
    remedy: 'REVOKE EXECUTE ON FUNCTION … FROM PUBLIC, and grant it to the roles that need it.',
    source: 'splinter 0028, 0029; PostgreSQL manual, CREATE FUNCTION',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.functions.length, 'function'),
        snapshot.functions
          .filter(({ grants }) => grants.some(({ grantee }) => grantee === 'PUBLIC'))
          .map((routine) => ({ object: signatureOf(routine), detail: 'PUBLIC may execute it' })),
      ),
  },
  {
    id: 'ISO-026',
    name: 'tenant-definer-functions-bind-tenant',
    loses: 'isolation',
    title: 'SECURITY DEFINER functions that tenants may call read the tenant of the transaction',
    inspects: `SECURITY DEFINER functions that ${tenantRole} or its logins may execute, and whether they read app.current_tenant_id`,
    why: 'Such a function runs with the policies of its owner. Unless it reads the tenant itself, the caller chooses the tenant.',
    remedy: `Read the tenant inside the function and filter by it, or REVOKE EXECUTE FROM ${tenantRole}.`,
    source: 'pgrls SEC014',
    run: ({ snapshot }) => {
      const callable = snapshot.functions.filter(
        ({ securityDefiner, grants, returns }) =>
          securityDefiner && returns !== 'trigger' && reachesTenants(snapshot, grants, 'EXECUTE'),
      );
      return judge(
        counted(callable.length, 'function'),
        callable
          .filter(({ source }) => !/\bapp\.current_tenant_id\b/.test(source))
          .map((routine) => ({
            object: signatureOf(routine),
            detail: `runs as ${routine.owner} but does not read app.current_tenant_id`,
          })),
      );
    },
  },
  {
    id: 'ISO-035',
    name: 'functions-not-leakproof',
    loses: 'barrier',
    title: 'No function is marked LEAKPROOF',
    inspects: 'pg_proc.proleakproof of functions outside extensions',
    why: 'A leakproof function may run before the condition of a policy, on rows of other tenants, and its errors and messages would reveal them.',
    remedy: 'ALTER FUNCTION … NOT LEAKPROOF.',
    source: 'pgrls SEC017; PostgreSQL manual, CREATE FUNCTION',
    run: ({ snapshot }) =>
      judge(
        counted(snapshot.functions.length, 'function'),
        snapshot.functions
          .filter(({ leakproof }) => leakproof)
          .map((routine) => ({ object: signatureOf(routine), detail: 'is marked LEAKPROOF' })),
      ),
  },
  {
    id: 'ISO-036',
    name: 'tables-have-no-rewrite-rule',
    loses: 'data',
    title: 'No table has a rewrite rule',
    inspects: 'pg_rewrite of tables',
    why: "Statements that a rule adds run with the rights of the rule's owner, without the caller's policies. Audit triggers do not see statements that it replaces.",
    remedy: 'DROP RULE …, and use a trigger.',
    source: 'PostgreSQL manual, Rules and Privileges',
    run: ({ snapshot }) => {
      const tables = snapshot.relations.filter(({ kind }) => kind === 'r' || kind === 'p');
      return judge(
        counted(tables.length, 'table'),
        tables.flatMap((table) =>
          table.rules.map((rule) => ({ object: nameOf(table), detail: `has rule ${rule}` })),
        ),
      );
    },
  },
]);
