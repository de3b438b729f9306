/** Entra administrators, password login, and the database's logins. */
import { reservedAdministrators } from '../../azure/reserved-names.ts';
import { schemaRoles } from '../../database/schema/roles.ts';
import type { Candidate } from '../resolved.ts';
import { check, defineRules, type Finding, repeated, urls } from '../rule.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const nil = '00000000-0000-0000-0000-000000000000';

const at = 'server.authentication';
const administratorsAt = `${at}.administrators`;
const serverResourceSource = `${urls.provider}/postgresql_flexible_server_resource.go`;

function uuidFindings(field: string, value: string | undefined): readonly Finding[] {
  return check(value === undefined || (uuid.test(value) && value !== nil), field, value);
}

/** Names that PostgreSQL refuses for a role or reads as another role, and the platform's own. */
const reservedRoles = [
  'public',
  'none',
  'current_role',
  'current_user',
  'session_user',
  'user',
  'azuresu',
  'replication',
  'postgres',
];

/** All names that people and programs log in under, by their fields. */
function loginNames({ server: { authentication }, database }: Candidate) {
  return [
    ...authentication.administrators.map(
      (one, position) => [`${administratorsAt}.${position}.name`, one.name] as const,
    ),
    ...database.logins.map((one, position) => [`database.logins.${position}.name`, one.name] as const),
  ];
}

export const authenticationRules = defineRules({
  'authentication/tenant-id': {
    rule: 'the id of an Entra tenant is a UUID',
    source: urls.entra,
    remedy: 'Find it with `az account show --query tenantId`.',
    check: ({ server: { authentication } }) => uuidFindings(`${at}.tenantId`, authentication.tenantId),
  },

  'authentication/object-id': {
    rule: 'the object id of an Entra principal is a UUID',
    source: urls.entra,
    remedy: 'Find it with `az ad group show --group NAME --query id` (or `az ad sp show`).',
    check: ({ server: { authentication, access }, database }) => [
      ...authentication.administrators.flatMap(({ objectId }, position) =>
        uuidFindings(`${administratorsAt}.${position}.objectId`, objectId),
      ),
      ...database.logins.flatMap(({ objectId }, position) =>
        uuidFindings(`database.logins.${position}.objectId`, objectId),
      ),
      ...access.flatMap(({ objectId }, position) =>
        uuidFindings(`server.access.${position}.objectId`, objectId),
      ),
    ],
  },

  'authentication/has-administrator': {
    rule: 'there is at least one Entra administrator: only an administrator can create Entra logins, and deployments log in as one',
    source: 'docs/decisions.md, 11a; AZR-000389',
    check: ({ server: { authentication } }) =>
      check(authentication.administrators.length > 0, administratorsAt, authentication.administrators),
  },

  'authentication/first-administrator-is-a-group': {
    rule: 'the first Entra administrator, which deployments log in as, is a group: people and pipelines come and go, and the owner of the schema must stay',
    source: 'docs/decisions.md, 11a',
    check: ({ server: { authentication } }) => {
      const type = authentication.administrators[0]?.type;
      return check(type === undefined || type === 'Group', `${administratorsAt}.0.type`, type);
    },
  },

  'authentication/administrators-are-distinct': {
    rule: 'an Entra principal is listed once among the administrators',
    source: `${urls.provider}/postgresql_flexible_server_administrator_resource.go`,
    check: ({ server: { authentication } }) =>
      repeated(authentication.administrators, (one) => one.objectId.toLowerCase()).map(
        ({ item, position }) => ({ field: `${administratorsAt}.${position}.objectId`, value: item.objectId }),
      ),
  },

  'authentication/password-settings-without-login': {
    rule: 'an administrator login and a password version belong to password login, which is off',
    source: serverResourceSource,
    remedy: 'Leave the setting out, or set server.authentication.passwordLogin.',
    check: ({ server: { authentication } }) =>
      (['administratorLogin', 'passwordVersion'] as const).flatMap((setting) => {
        const value = authentication[setting];
        return check(authentication.passwordLogin || value === undefined, `${at}.${setting}`, value);
      }),
  },

  'authentication/password-login-name': {
    rule: "password login needs the administrator's login name",
    source: serverResourceSource,
    check: ({ server: { authentication } }) => {
      const { passwordLogin, administratorLogin } = authentication;
      const holds = !passwordLogin || administratorLogin !== undefined;
      return check(holds, `${at}.administratorLogin`, administratorLogin);
    },
  },

  'authentication/administrator-login-name': {
    rule: `an administrator login is 1-63 letters, digits and underscores, does not start with pg_ and is not one of ${reservedAdministrators.join(', ')}`,
    source: `${urls.provider}/validate/admin_usernames.go`,
    check: ({ server: { authentication } }) => {
      const { passwordLogin, administratorLogin: login } = authentication;
      if (!passwordLogin || login === undefined) return [];
      const holds =
        /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/i.test(login) &&
        !reservedAdministrators.includes(login.toLowerCase());
      return check(holds, `${at}.administratorLogin`, login);
    },
  },

  'authentication/password-version': {
    rule: "a password's version counts from 1",
    source: serverResourceSource,
    check: ({ server: { authentication } }) => {
      const { passwordLogin, administratorLogin, passwordVersion } = authentication;
      if (!passwordLogin || administratorLogin === undefined || passwordVersion === undefined) return [];
      return check(passwordVersion >= 1, `${at}.passwordVersion`, passwordVersion);
    },
  },

  'authentication/login-is-not-a-role': {
    rule: `no login has the name of a role that the migrations create (${schemaRoles.join(', ')})`,
    source: 'docs/decisions.md, 11a',
    check: (candidate) => {
      const { administratorLogin } = candidate.server.authentication;
      const logins = [...loginNames(candidate), [`${at}.administratorLogin`, administratorLogin] as const];
      return logins.flatMap(([field, name]) =>
        check(name === undefined || !schemaRoles.includes(name), field, name),
      );
    },
  },

  'authentication/login-name': {
    rule: `a login's name is 1-63 bytes, does not start with pg_ or azure_, and is not one of ${reservedRoles.join(', ')}, which PostgreSQL and Azure reserve`,
    source: urls.roles,
    check: (candidate) =>
      loginNames(candidate).flatMap(([field, name]) => {
        const bytes = Buffer.byteLength(name);
        const reserved = /^(pg_|azure_)/i.test(name) || reservedRoles.includes(name.toLowerCase());
        return check(bytes >= 1 && bytes <= 63 && !reserved, field, name);
      }),
  },

  'authentication/login-names-are-distinct': {
    rule: 'a login is listed once, in one role',
    source: urls.roles,
    check: ({ database }) =>
      repeated(database.logins, (one) => one.name).map(({ item, position }) => ({
        field: `database.logins.${position}.name`,
        value: item.name,
      })),
  },

  'authentication/login-is-not-an-administrators': {
    rule: "no login has the name of an administrator: both would be one role on the server, with an administrator's privileges",
    source: 'docs/decisions.md, 11a',
    check: ({ server: { authentication }, database }) => {
      const taken = [
        authentication.administratorLogin,
        ...authentication.administrators.map(({ name }) => name),
      ];
      return database.logins.flatMap(({ name }, position) =>
        check(!taken.includes(name), `database.logins.${position}.name`, name),
      );
    },
  },

  'authentication/logins-are-distinct': {
    rule: 'an Entra principal has one login',
    source: 'docs/decisions.md, 11a',
    check: ({ database }) =>
      repeated(database.logins, (one) => one.objectId.toLowerCase()).map(({ item, position }) => ({
        field: `database.logins.${position}.objectId`,
        value: item.objectId,
      })),
  },

  'authentication/login-is-not-an-administrator': {
    rule: "no tenant-facing login is an administrator: an administrator's membership would undo the isolation of tenants",
    source: 'docs/decisions.md, 11a',
    check: ({ server: { authentication }, database }) => {
      const administrators = new Set(authentication.administrators.map((one) => one.objectId.toLowerCase()));
      return database.logins.flatMap(({ objectId }, position) =>
        check(!administrators.has(objectId.toLowerCase()), `database.logins.${position}.objectId`, objectId),
      );
    },
  },

  'authentication/access-is-given-once': {
    rule: 'a principal has a role on the servers once',
    source: 'https://learn.microsoft.com/azure/role-based-access-control/troubleshooting',
    check: ({ server: { access } }) =>
      repeated(access, ({ objectId, role }) => `${objectId.toLowerCase()} ${role}`).map(
        ({ item, position }) => ({ field: `server.access.${position}`, value: item.role }),
      ),
  },
});
