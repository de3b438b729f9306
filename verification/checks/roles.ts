import { checksOf, type Finding } from '../check.ts';
import {
  auditRole,
  describeGrants,
  foreignGrants,
  groupRoles,
  loginRoles,
  maintenanceRole,
  modelOf,
  nameOf,
  owner,
  schema,
  sealRole,
  signatureOf,
  tenantRole,
} from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Snapshot } from '../snapshot/facts.ts';

/** Read and change files or run programs on the server's machine. */
const fileRoles = ['pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program'] as const;

/** Show what others run, or stop it. */
const watching = [
  'pg_monitor',
  'pg_read_all_stats',
  'pg_stat_scan_tables',
  'pg_signal_backend',
  'pg_signal_autovacuum_worker',
] as const;

/** The group roles that logins are put into, and whoever reaches one of them and is no administrator. */
function inGroups(snapshot: Snapshot): Snapshot['roles'] {
  const model = modelOf(snapshot);
  return snapshot.roles.filter(({ name }) => {
    const reach = model.reach(name);
    return loginRoles.some((role) => reach.has(role)) && !reach.has('azure_pg_admin') && !reach.has(owner);
  });
}

export const checks = checksOf('roles', [
  {
    id: 'ROL-001',
    name: 'group-roles-cannot-log-in',
    severity: 'critical',
    title: 'Group roles exist, cannot log in and have no attribute beyond membership',
    inspects: `pg_roles: ${groupRoles.join(', ')}`,
    why: 'Policies and grants are written for them as groups. One that can log in, or make roles, is a way around its members.',
    remedy: 'ALTER ROLE … NOLOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const roles = new Map(snapshot.roles.map((role) => [role.name, role]));
      return judge(
        counted(groupRoles.length, 'group role'),
        groupRoles.flatMap((name): Finding[] => {
          const role = roles.get(name);
          if (!role) return [{ object: `role ${name}`, detail: 'does not exist' }];
          const wild = [
            role.login && 'LOGIN',
            role.createRole && 'CREATEROLE',
            role.createDatabase && 'CREATEDB',
            role.replication && 'REPLICATION',
          ].filter((attribute) => attribute !== false);
          return wild.length > 0 ? [{ object: `role ${name}`, detail: `has ${wild.join(', ')}` }] : [];
        }),
      );
    },
  },
  {
    id: 'ROL-002',
    name: 'objects-owned-by-group-roles',
    severity: 'high',
    title: 'Schema llama and everything in it belong to roles that nobody logs in as',
    inspects: `owners of the schema, its relations and functions: ${owner}; functions and views also ${maintenanceRole}, ${auditRole} and ${sealRole}`,
    why: 'An owner can drop policies and disable triggers. What belongs to a person or an application goes with them, and no other administrator can alter it.',
    remedy: `ALTER … OWNER TO ${owner}.`,
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const acting = new Set<string>([owner, maintenanceRole, auditRole, sealRole]);
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
            ['v', 'm'].includes(relation.kind) ? !acting.has(relation.owner) : relation.owner !== owner,
          )
          .map((relation) => ({ object: nameOf(relation), by: relation.owner })),
        ...functions
          .filter((routine) => !acting.has(routine.owner))
          .map((routine) => ({ object: signatureOf(routine), by: routine.owner })),
      ];
      return judge(
        `${counted(relations.length, 'relation')}, ${counted(functions.length, 'function')}`,
        wrong.map(({ object, by }) => ({ object, detail: `belongs to ${by}` })),
      );
    },
  },
  {
    id: 'ROL-003',
    name: 'owner-does-not-inherit',
    severity: 'high',
    title: 'The owner does not inherit the roles it hands out',
    inspects: `inherit option of ${owner}'s and the administrators' memberships in ${loginRoles.join(', ')}`,
    why: "A policy for application_role concerns whoever inherits it: the owner gets the tenants' floor, and its maintenance sees no row and reports success.",
    remedy: `GRANT … TO ${owner} WITH INHERIT FALSE, SET TRUE.`,
    source: 'docs/decisions.md, 11a; reproduced on PostgreSQL 17: two rows became none',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const administrators = [owner, snapshot.server.login].filter((name) => model.reach(name).has(owner));
      return judge(
        administrators.join(', '),
        administrators.flatMap((name): Finding[] => {
          const inherited = loginRoles.filter((role) => model.rightsOf(name).has(role));
          return inherited.length > 0
            ? [{ object: `role ${name}`, detail: `inherits ${inherited.join(', ')}` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'ROL-004',
    name: 'only-administrators-act-as-owner',
    severity: 'critical',
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
          .filter(({ name, superuser }) => !superuser && !model.reach(name).has('azure_pg_admin'))
          .map(({ name }) => ({
            object: `role ${name}`,
            detail: `can become ${owner} and is no administrator`,
          })),
      );
    },
  },
  {
    id: 'ROL-005',
    name: 'logins-have-their-group-role',
    severity: 'high',
    title: 'Every login of the environment exists and has exactly its group role',
    inspects: 'logins of the deployment, pg_roles and the group roles they inherit',
    why: 'A login without its role fails at its first query; with a second one it sees more than its settings say.',
    remedy: 'llama-db post-deploy makes missing ones; REVOKE what is too much.',
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
              detail: `has ${has.join(', ') || 'no group role'} instead of ${role}`,
            },
          ];
        }),
      );
    },
  },
  {
    id: 'ROL-006',
    name: 'group-roles-have-known-members',
    severity: 'medium',
    title: "Nobody else is in the environment's group roles",
    inspects: `members of ${loginRoles.join(', ')} against the logins of the deployment`,
    why: 'Access that was given by hand is in no review, and nobody takes it away.',
    remedy: 'Add the login to the environment file, or REVOKE the role from it.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot, deployment }) => {
      if (!deployment) return skip('no deployment is known to compare with');
      const model = modelOf(snapshot);
      const known = new Set(deployment.logins.map(({ name }) => name));
      // Who may grant a role without having it (ADMIN OPTION alone) is whoever made it.
      const members = snapshot.memberships.filter(
        ({ role, inherit, set }) => loginRoles.some((name) => name === role) && (inherit || set),
      );
      return judge(
        counted(members.length, 'membership'),
        members
          .filter(({ member }) => !known.has(member) && member !== owner && !model.reach(member).has(owner))
          // A role in the wrong group is ISO-021's to say.
          .filter(({ member }) => !groupRoles.some((name) => name === member))
          .map(({ role, member }) => ({
            object: `role ${member}`,
            detail: `is in ${role} and in no settings`,
          })),
      );
    },
  },
  {
    id: 'ROL-007',
    name: 'analytics-reads-only',
    severity: 'high',
    title: 'The analytics role changes nothing',
    inspects: 'privileges of analytics_role on relations and columns of schema llama, other than SELECT',
    why: 'It reads every tenant; what it can write it can write for all of them.',
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
          // These are ISO-027's to say.
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
    severity: 'medium',
    title: 'Nobody may pass on what was granted to them',
    inspects: 'GRANT OPTION in schema llama, and ADMIN OPTION on group roles for others than administrators',
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
          ({ role, member, admin }) =>
            admin && loginRoles.some((name) => name === role) && !model.reach(member).has('azure_pg_admin'),
        )
        .map(({ role, member }) => ({ object: `role ${member}`, detail: `may grant ${role}` }));
      return judge('grant and admin options', [...grantable, ...admins]);
    },
  },
  {
    id: 'ROL-009',
    name: 'roles-reach-no-server-files',
    severity: 'critical',
    title: "No role of ours reaches the server's files or programs",
    inspects: `membership in ${fileRoles.join(', ')}`,
    why: "The server's files hold every row of every tenant, past all policies.",
    remedy: 'REVOKE the role.',
    source: 'PostgreSQL manual, Predefined Roles',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const ours = snapshot.roles.filter(
        ({ name, superuser }) => !superuser && !name.startsWith('pg_') && !name.startsWith('azure'),
      );
      return judge(
        counted(ours.length, 'role'),
        ours.flatMap(({ name }): Finding[] => {
          const reach = model.reach(name);
          const held = fileRoles.filter((role) => reach.has(role));
          return held.length > 0 ? [{ object: `role ${name}`, detail: `reaches ${held.join(', ')}` }] : [];
        }),
      );
    },
  },
  {
    id: 'ROL-010',
    name: 'tenant-logins-lack-read-all-data',
    severity: 'high',
    title: "Tenants' logins cannot read or write everything by a predefined role",
    inspects: `pg_read_all_data, pg_write_all_data and pg_maintain for whoever is in a group role`,
    why: 'pg_read_all_data opens every table without a policy, leaves and materialized views among them.',
    remedy: 'REVOKE the predefined role.',
    source: 'PostgreSQL manual, Predefined Roles',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const wide = ['pg_read_all_data', 'pg_write_all_data', 'pg_maintain'];
      const ours = inGroups(snapshot);
      return judge(
        counted(ours.length, 'role'),
        ours.flatMap(({ name }): Finding[] => {
          const reach = model.reach(name);
          const held = wide.filter((role) => reach.has(role));
          return held.length > 0 ? [{ object: `role ${name}`, detail: `reaches ${held.join(', ')}` }] : [];
        }),
      );
    },
  },
  {
    id: 'ROL-011',
    name: 'logins-have-no-rights-of-their-own',
    severity: 'critical',
    title: 'A login in a group role may do nothing beyond it',
    inspects: `REPLICATION, CREATEROLE and CREATEDB of whoever is in ${loginRoles.join(', ')}, administrators excepted`,
    why: 'REPLICATION reads the log, where every row of every tenant passes by and no policy holds; whoever makes roles or databases is not bound by the grants of this one.',
    remedy: 'ALTER ROLE … NOREPLICATION NOCREATEROLE NOCREATEDB.',
    source: 'PostgreSQL manual, Role Attributes; docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      // The groups' own attributes are ROL-001's to say.
      const members = inGroups(snapshot).filter(({ name }) => !groupRoles.some((group) => group === name));
      return judge(
        counted(members.length, 'role'),
        members.flatMap(({ name, replication, createRole, createDatabase }): Finding[] => {
          const held = [
            replication && 'REPLICATION',
            createRole && 'CREATEROLE',
            createDatabase && 'CREATEDB',
          ].filter((attribute) => attribute !== false);
          return held.length > 0 ? [{ object: `role ${name}`, detail: `has ${held.join(', ')}` }] : [];
        }),
      );
    },
  },
  {
    id: 'ROL-012',
    name: 'tenant-logins-see-no-sessions',
    severity: 'high',
    title: "Tenants' logins neither watch nor end the sessions of others",
    inspects: `membership of ${tenantRole} and its logins in ${watching.join(', ')}`,
    why: 'Statements of administrators and analysts hold what tenants must not see; a session that anybody may end does not finish its work.',
    remedy: 'REVOKE the predefined role; monitoring gets a login of its own.',
    source: 'PostgreSQL manual, Predefined Roles',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      return judge(
        counted(model.tenantRoles.length, 'role'),
        model.tenantRoles.flatMap((name): Finding[] => {
          const reach = model.reach(name);
          const held = watching.filter((role) => reach.has(role));
          return held.length > 0 ? [{ object: `role ${name}`, detail: `reaches ${held.join(', ')}` }] : [];
        }),
      );
    },
  },
]);
