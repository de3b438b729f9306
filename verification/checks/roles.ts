import { isPlatform } from '../../database/overrides.ts';
import { checksOf, type Finding } from '../check.ts';
import {
  describeGrants,
  everyAdministrator,
  foreignGrants,
  groupRoles,
  loginRoles,
  modelOf,
  nameOf,
  owner,
  ownerRoles,
  schema,
  signatureOf,
} from '../model.ts';
import { counted, judge, listed, skip } from '../outcome.ts';
import { reaching } from '../reach.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';

/** Predefined roles that read or change files, or run programs, on the server. */
const fileRoles = ['pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'] as const;

/** Predefined roles that read or write every table. */
const allData = ['pg_read_all_data', 'pg_write_all_data', 'pg_maintain'] as const;

/** Predefined roles that show the statements of other sessions, or end them. */
const otherSessions = [
  'pg_monitor',
  'pg_read_all_stats',
  'pg_stat_scan_tables',
  'pg_signal_backend',
  'pg_signal_autovacuum_worker',
] as const;

/** The group roles of logins, and every role that reaches one of them, except for administrators. */
function inGroups(snapshot: Snapshot): Snapshot['roles'] {
  const model = modelOf(snapshot);
  return snapshot.roles.filter(({ name }) => {
    const reach = model.reach(name);
    return loginRoles.some((role) => reach.has(role)) && !reach.has(everyAdministrator) && !reach.has(owner);
  });
}

export const checks = checksOf('roles', [
  {
    id: 'ROL-001',
    name: 'group-roles-cannot-log-in',
    loses: 'control',
    title: 'Group roles exist, cannot log in and have no other attribute',
    inspects: `pg_roles: ${groupRoles.join(', ')}`,
    why: 'Policies and grants address them as groups. A group role that can log in or create roles bypasses the rules for its members.',
    remedy: 'ALTER ROLE … NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const roles = new Map(snapshot.roles.map((role) => [role.name, role]));
      return judge(
        counted(groupRoles.length, 'group role'),
        groupRoles.flatMap((name): readonly Finding[] => {
          const role = roles.get(name);
          if (!role) return [{ object: `role ${name}`, detail: 'does not exist' }];
          const attributes = [
            role.login && 'LOGIN',
            role.createRole && 'CREATEROLE',
            role.createDatabase && 'CREATEDB',
            role.replication && 'REPLICATION',
          ].filter((attribute) => attribute !== false);
          return listed(`role ${name}`, 'has', attributes);
        }),
      );
    },
  },
  {
    id: 'ROL-002',
    name: 'objects-owned-by-group-roles',
    loses: 'barrier',
    title: 'Group roles that cannot log in own schema llama and its objects',
    inspects: `owners of the schema, its relations and functions: ${owner}; functions and views also ${ownerRoles.slice(1).join(', ')}`,
    why: 'An owner can drop policies and disable triggers. Objects of a person or an application disappear with it, and no other administrator can alter them.',
    remedy: `ALTER … OWNER TO ${owner}.`,
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const owners = new Set(ownerRoles);
      const llama = snapshot.schemas.find(({ name }) => name === schema);
      if (!llama) return skip(`schema ${schema} does not exist`);
      const relations = snapshot.relations.filter(
        (relation) => relation.schema === schema && relation.parent === null,
      );
      const functions = snapshot.functions.filter((routine) => routine.schema === schema);
      const wrong = [
        ...(llama.owner === owner ? [] : [{ object: `schema ${schema}`, by: llama.owner }]),
        ...relations
          .filter((relation) =>
            ['v', 'm'].includes(relation.kind) ? !owners.has(relation.owner) : relation.owner !== owner,
          )
          .map((relation) => ({ object: nameOf(relation), by: relation.owner })),
        ...functions
          .filter((routine) => !owners.has(routine.owner))
          .map((routine) => ({ object: signatureOf(routine), by: routine.owner })),
      ];
      return judge(
        `${counted(relations.length, 'relation')}, ${counted(functions.length, 'function')}`,
        wrong.map(({ object, by }) => ({ object, detail: `is owned by ${by}` })),
      );
    },
  },
  {
    id: 'ROL-003',
    name: 'owner-does-not-inherit',
    loses: 'correctness',
    title: 'The owner does not inherit the roles that it grants',
    inspects: `inherit option of the memberships of ${owner} and the administrators in ${loginRoles.join(', ')}`,
    why: 'A policy for application_role applies to every role that inherits it. The owner would be limited by the floor policy, and its maintenance would see no rows and report success.',
    remedy: `GRANT … TO ${owner} WITH INHERIT FALSE, SET TRUE.`,
    source: 'docs/decisions.md, 11a; reproduced on PostgreSQL 17: two rows became none',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const administrators = [owner, snapshot.server.login].filter((name) => model.reach(name).has(owner));
      return judge(
        administrators.join(', '),
        administrators.flatMap((name) =>
          listed(
            `role ${name}`,
            'inherits',
            loginRoles.filter((role) => model.rightsOf(name).has(role)),
          ),
        ),
      );
    },
  },
  {
    id: 'ROL-004',
    name: 'only-administrators-act-as-owner',
    loses: 'control',
    title: 'Only administrators may act as the owner',
    inspects: `every role that reaches ${owner}, and whether it is a member of azure_pg_admin`,
    why: 'The owner can drop every policy and every trigger.',
    remedy: `REVOKE ${owner} FROM the role.`,
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const able = snapshot.roles.filter(({ name }) => name !== owner && model.reach(name).has(owner));
      return judge(
        counted(able.length, 'role'),
        able
          .filter(({ name, superuser }) => !superuser && !model.reach(name).has(everyAdministrator))
          .map(({ name }) => ({
            object: `role ${name}`,
            detail: `reaches ${owner} but is not an administrator`,
          })),
      );
    },
  },
  {
    id: 'ROL-005',
    name: 'logins-have-their-group-role',
    loses: 'availability',
    title: 'Every login of the environment exists and has exactly its group role',
    inspects: 'logins of the deployment, pg_roles and the group roles they inherit',
    why: 'A login without its role fails at its first query; a login with a second role sees more than the settings allow.',
    remedy: 'Run llama-db post-deploy, which creates missing logins; REVOKE excess roles.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      const model = modelOf(snapshot);
      const roles = new Set(snapshot.roles.map(({ name }) => name));
      return judge(
        counted(deployment.logins.length, 'login'),
        deployment.logins.flatMap(({ name, role }): Finding[] => {
          if (!roles.has(name)) return [{ object: `login ${name}`, detail: 'does not exist' }];
          const rights = model.rightsOf(name);
          const has = groupRoles.filter((group) => rights.has(group));
          if (has.length === 1 && has[0] === role) return [];
          return [
            {
              object: `login ${name}`,
              detail: `has ${has.join(', ') || 'no group role'}, expected ${role}`,
            },
          ];
        }),
      );
    },
  },
  {
    id: 'ROL-006',
    name: 'group-roles-have-known-members',
    loses: 'isolation',
    title: 'The group roles have only the members of the settings',
    inspects: `members of ${loginRoles.join(', ')} against the logins of the deployment`,
    why: 'A stranger in admin_role or analytics_role reads the rows of every tenant. Access that was granted by hand is not reviewed, and nobody removes it.',
    remedy: 'Add the login to the environment file, or REVOKE the role from it.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      const model = modelOf(snapshot);
      const known = new Set(deployment.logins.map(({ name }) => name));
      // With ADMIN OPTION alone a role can grant the group role, but does not have it: its creator.
      const members = snapshot.memberships.filter(
        ({ role, inherit, set }) => loginRoles.some((name) => name === role) && (inherit || set),
      );
      return judge(
        counted(members.length, 'membership'),
        members
          .filter(({ member }) => !known.has(member) && member !== owner && !model.reach(member).has(owner))
          // ISO-021 reports a group role inside another one.
          .filter(({ member }) => !groupRoles.some((name) => name === member))
          .map(({ role, member }) => ({
            object: `role ${member}`,
            detail: `is in ${role} but not in the settings`,
          })),
      );
    },
  },
  {
    id: 'ROL-007',
    name: 'analytics-reads-only',
    loses: 'barrier',
    title: 'The analytics role cannot change data',
    inspects: 'privileges of analytics_role on relations and columns of schema llama, other than SELECT',
    why: 'The role reads every tenant, so a write privilege applies to every tenant too.',
    remedy: 'REVOKE … FROM analytics_role.',
    source: 'migrations/0006_tenant_isolation.sql',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const rights = model.rightsOf('analytics_role');
      const held = [
        ...snapshot.relations.flatMap((relation) =>
          foreignGrants(relation.grants, relation.owner).map((grant) => ({ relation: relation.oid, grant })),
        ),
        ...snapshot.columnGrants.map((grant) => ({ relation: grant.relation, grant })),
      ].filter(
        ({ relation, grant }) =>
          model.relation(relation)?.schema === schema &&
          rights.has(grant.grantee) &&
          // ISO-027 reports the other privileges.
          ['INSERT', 'UPDATE', 'DELETE'].includes(grant.privilege),
      );
      return judge(
        'analytics_role',
        held.map(({ relation, grant }) => {
          const table = model.relation(relation);
          return { object: table ? nameOf(table) : String(relation), detail: describeGrants([grant]) };
        }),
      );
    },
  },
  {
    id: 'ROL-008',
    name: 'grants-not-grantable',
    loses: 'barrier',
    title: 'No role may pass on its privileges',
    inspects: 'GRANT OPTION in schema llama, and ADMIN OPTION on group roles, except for administrators',
    why: 'Access spreads without a migration and without a review.',
    remedy: 'REVOKE GRANT OPTION FOR … (or ADMIN OPTION FOR …).',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const grantable = snapshot.relations
        .filter((relation) => relation.schema === schema)
        .flatMap((relation) =>
          foreignGrants(relation.grants, relation.owner)
            .filter((grant) => grant.grantable)
            .map((grant) => ({
              object: nameOf(relation),
              detail: `${describeGrants([grant])} with grant option`,
            })),
        );
      const admins = snapshot.memberships
        .filter(
          ({ role, member, admin, inherit }) =>
            admin &&
            loginRoles.some((name) => name === role) &&
            !model.reach(member).has(everyAdministrator) &&
            // A former administrator stays the grantor of the others.
            (inherit || model.isUsed(member)),
        )
        .map(({ role, member }) => ({ object: `role ${member}`, detail: `may grant ${role}` }));
      return judge('grant and admin options', [...grantable, ...admins]);
    },
  },
  {
    id: 'ROL-009',
    name: 'roles-reach-no-server-files',
    loses: 'control',
    title: 'No role reaches the files or programs of the server',
    inspects: `membership in ${fileRoles.join(', ')}`,
    why: 'The files of the server hold every row of every tenant, and no policy applies to them.',
    remedy: 'REVOKE the role.',
    source: 'PostgreSQL manual, Predefined Roles',
    run: ({ snapshot }) => {
      const names = snapshot.roles
        .filter(({ name, superuser }) => !superuser && !name.startsWith('pg_') && !name.startsWith('azure'))
        .map(({ name }) => name);
      return judge(counted(names.length, 'role'), reaching(snapshot, names, fileRoles));
    },
  },
  {
    id: 'ROL-010',
    name: 'tenant-logins-lack-read-all-data',
    loses: 'barrier',
    title: 'No login in a group role can read or write all data through a predefined role',
    inspects: `membership of every role in a group role in ${allData.join(', ')}`,
    why: 'pg_read_all_data opens every table that has no policy, including leaves and materialized views.',
    remedy: 'REVOKE the predefined role.',
    source: 'PostgreSQL manual, Predefined Roles',
    run: ({ snapshot }) => {
      const names = inGroups(snapshot).map(({ name }) => name);
      return judge(counted(names.length, 'role'), reaching(snapshot, names, allData));
    },
  },
  {
    id: 'ROL-011',
    name: 'logins-have-no-rights-of-their-own',
    loses: 'control',
    title: 'No role has REPLICATION, and only administrators have CREATEROLE or CREATEDB',
    inspects: "attributes in pg_roles, except for the platform's own roles and the group roles (ROL-001)",
    why: 'REPLICATION reads the write-ahead log, which holds every row of every tenant and has no policies. A login that creates roles or databases is not bound by the grants here.',
    remedy: 'ALTER ROLE … NOREPLICATION NOCREATEROLE NOCREATEDB.',
    source: 'PostgreSQL manual, Role Attributes; docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const roles = snapshot.roles.filter(
        ({ name, bootstrap }) => !bootstrap && !isPlatform(name) && !groupRoles.includes(name),
      );
      return judge(
        counted(roles.length, 'role'),
        roles.flatMap(({ name, replication, createRole, createDatabase }) => {
          // A former administrator keeps its attributes and memberships as their grantor.
          const administrator = model.reach(name).has(everyAdministrator) || !model.isUsed(name);
          const held = [
            replication && 'REPLICATION',
            createRole && !administrator && 'CREATEROLE',
            createDatabase && !administrator && 'CREATEDB',
          ].filter((attribute) => attribute !== false);
          return listed(`role ${name}`, 'has', held);
        }),
      );
    },
  },
  {
    id: 'ROL-012',
    name: 'tenant-logins-see-no-sessions',
    loses: 'barrier',
    title: 'No login in a group role can watch or end other sessions',
    inspects: `membership of every role in a group role in ${otherSessions.join(', ')}`,
    why: 'Statements of administrators and analysts contain data that tenants must not see, and a terminated session does not finish its work.',
    remedy: 'REVOKE the predefined role, and give monitoring its own login.',
    source: 'PostgreSQL manual, Predefined Roles',
    run: ({ snapshot }) => {
      const names = inGroups(snapshot).map(({ name }) => name);
      return judge(counted(names.length, 'role'), reaching(snapshot, names, otherSessions));
    },
  },
]);
