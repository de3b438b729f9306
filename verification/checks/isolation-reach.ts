/** Ways around the policies by acting as somebody else: roles, views, functions, rules. */
import { viewIsTenantBound } from '../../database/schema/policy.ts';
import { checksOf, type Finding } from '../check.ts';
import { describeGrants, groupRoles, modelOf, nameOf, signatureOf, tenantRole } from '../model.ts';
import { counted, judge } from '../outcome.ts';
import { grantsOn, reachesTenants } from '../reach.ts';
import type { Relation, Routine } from '../snapshot/facts.ts';

/**
 * `search_path` of a function that nobody can shadow: set, and temporary objects last. Not named they come first, before
 * pg_catalog, and so they do on an empty path.
 */
function isFixed({ settings }: Routine): boolean {
  const path = settings.find((setting) => setting.startsWith('search_path='))?.slice('search_path='.length);
  if (path === undefined) return false;
  const schemas = path.split(',').map((name) => name.trim().replace(/^"(.*)"$/, '$1'));
  return schemas.at(-1) === 'pg_temp';
}

const isPlatform = (name: string) => name.startsWith('azure') || name.startsWith('pg_');

export const checks = checksOf('isolation', [
  {
    id: 'ISO-020',
    name: 'no-role-bypasses-row-security',
    severity: 'critical',
    title: 'No role passes row-level security by',
    inspects: "SUPERUSER and BYPASSRLS in pg_roles, the platform's own roles excepted",
    why: 'BYPASSRLS is not inherited, but every member can SET ROLE to it and then no policy holds.',
    remedy: 'ALTER ROLE … NOBYPASSRLS; a role that must see all tenants gets a policy of its own.',
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
    severity: 'critical',
    title: 'Whoever acts as the application role can become nobody who sees more',
    inspects: `roles that ${tenantRole} and its members reach by membership, administrators excepted`,
    why: 'SET ROLE needs no password. A login that serves tenants and is also in admin_role has no isolation at all.',
    remedy: 'REVOKE the other role from it; one login, one group role.',
    source: 'docs/decisions.md, 11a; pgrls SEC029',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const members = model.tenantRoles.filter((name) => name !== tenantRole);
      return judge(
        `${tenantRole} and ${counted(members.length, 'member')}`,
        model.tenantRoles.flatMap((member): Finding[] => {
          const reach = model.reach(member);
          const more = groupRoles.filter((role) => role !== tenantRole && reach.has(role));
          return more.length > 0
            ? [{ object: `role ${member}`, detail: `can become ${more.join(', ')}` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'ISO-022',
    name: 'materialized-views-closed-to-tenants',
    severity: 'critical',
    title: 'No materialized view is open to the application role',
    inspects: 'privileges on materialized views and their columns, of the role and of its logins',
    why: "A materialized view cannot have row-level security: whoever may read it reads every tenant's rows.",
    remedy: `REVOKE ALL ON … FROM ${tenantRole}; put a security_barrier view with the tenant's condition in front.`,
    source: 'splinter 0016; pgrls VIEW003; PostgreSQL manual, CREATE POLICY',
    run: ({ snapshot }) => {
      const views = snapshot.relations.filter(({ kind }) => kind === 'm');
      return judge(
        counted(views.length, 'materialized view'),
        views
          .filter((view) => reachesTenants(snapshot, grantsOn(snapshot, view)))
          .map((view) => ({
            object: nameOf(view),
            detail: describeGrants(grantsOn(snapshot, view)),
          })),
      );
    },
  },
  {
    id: 'ISO-023',
    name: 'tenant-views-bind-tenant',
    severity: 'critical',
    title: 'Every view that tenants read shows them their own rows only',
    inspects: `views of which anything is granted to ${tenantRole}, its logins or PUBLIC: security_invoker, or security_barrier, one relation and the tenant's condition`,
    why: "A view reads with its owner's rights. Without security_barrier a condition of the tenant's own may run before the filter and tell what it saw in an error.",
    remedy:
      "ALTER VIEW … SET (security_invoker = true), or end it with the tenant's condition and SET (security_barrier = true).",
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
            return [
              { object: nameOf(view), detail: `reads as ${view.owner} without the tenant's condition` },
            ];
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
    severity: 'high',
    title: 'Every SECURITY DEFINER function fixes its search path, temporary objects last',
    inspects: 'pg_proc.prosecdef and proconfig',
    why: "pg_temp is searched first unless it is named: a caller's temporary table takes the place of the function's own, with its owner's rights.",
    remedy: 'ALTER FUNCTION … SET search_path = pg_catalog, pg_temp, and qualify every name.',
    source:
      'splinter 0011; pgrls SEC015; PostgreSQL manual, CREATE FUNCTION; hijack reproduced on PostgreSQL 15 and 18',
    run: ({ snapshot }) => {
      const definers = snapshot.functions.filter(({ securityDefiner }) => securityDefiner);
      return judge(
        counted(definers.length, 'SECURITY DEFINER function'),
        definers
          .filter((routine) => !isFixed(routine))
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
    severity: 'high',
    title: "No function is everybody's to call",
    inspects: 'EXECUTE for PUBLIC on functions outside extensions',
    why: 'PostgreSQL gives EXECUTE on a new function to PUBLIC; what is meant for maintenance is then open to tenants.',
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
    severity: 'critical',
    title: 'SECURITY DEFINER functions that tenants may call work on the tenant of the transaction',
    inspects: `functions with SECURITY DEFINER that ${tenantRole} or its logins may execute, and whether they read app.current_tenant_id`,
    why: "Such a function runs with its owner's policies. Unless it asks for the tenant itself, the caller chooses whose rows it works on.",
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
            detail: `runs as ${routine.owner} and never reads app.current_tenant_id`,
          })),
      );
    },
  },
  {
    id: 'ISO-035',
    name: 'functions-not-leakproof',
    severity: 'high',
    title: 'No function of ours claims to be leakproof',
    inspects: 'pg_proc.proleakproof outside extensions',
    why: "A leakproof function may run before the policy's condition, on other tenants' rows, and its errors and messages would show them.",
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
    severity: 'medium',
    title: 'No rewrite rule changes what a statement on a table does',
    inspects: 'pg_rewrite of tables',
    why: "What a rule adds runs with the rights of the rule's owner, past the caller's policies, and audit triggers do not see what it swallowed.",
    remedy: 'DROP RULE …; use a trigger.',
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
