/** Who may log in, and as what. */
import { schemaRoles } from '../../database/schema/roles.ts';
import type { EnvironmentSettings } from '../settings.ts';
import { check, type Finding, finding, type Rule, repeated, urls } from './rule.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const nil = '00000000-0000-0000-0000-000000000000';

function uuidFindings(field: string, value: string | undefined, whose: string): readonly Finding[] {
  return check(value === undefined || (uuid.test(value) && value !== nil), field, value, {
    rule: `${whose} is a UUID`,
    source: urls.entra,
    remedy: 'Find it with `az ad group show --group NAME --query id` (or `az ad sp show`).',
  });
}

const ids: Rule = ({ server: { authentication }, database }) => [
  ...uuidFindings('server.authentication.tenantId', authentication.tenantId, 'the id of an Entra tenant'),
  ...authentication.administrators.flatMap((one, position) =>
    uuidFindings(
      `server.authentication.administrators.${position}.objectId`,
      one.objectId,
      'the object id of an Entra principal',
    ),
  ),
  ...database.logins.flatMap((one, position) =>
    uuidFindings(`database.logins.${position}.objectId`, one.objectId, 'the object id of an Entra principal'),
  ),
];

const administrators: Rule = ({ server: { authentication } }) => {
  const [first] = authentication.administrators;
  const field = 'server.authentication.administrators';
  if (!first) {
    return [
      finding(field, authentication.administrators, {
        rule: 'there is at least one Entra administrator: nobody else can make Entra logins, deployments included',
        source: 'AZR-000389',
      }),
    ];
  }
  return [
    ...check(first.type === 'Group', `${field}.0.type`, first.type, {
      rule: 'the first Entra administrator, whom deployments log in as, is a group: people and pipelines come and go, the owner of the schema must not',
      source: 'docs/decisions.md, 11a',
    }),
    ...repeated(authentication.administrators, (one) => one.objectId.toLowerCase()).map(
      ({ item, position }) =>
        finding(`${field}.${position}.objectId`, item.objectId, {
          rule: 'an Entra principal is administrator once',
          source: `${urls.provider}/postgresql_flexible_server_administrator_resource.go`,
        }),
    ),
  ];
};

const reservedLogins = [
  'azure_superuser',
  'azure_pg_admin',
  'admin',
  'administrator',
  'root',
  'guest',
  'public',
];

const password: Rule = ({ server: { authentication } }) => {
  const { passwordLogin, administratorLogin, passwordVersion } = authentication;
  const at = 'server.authentication';
  if (!passwordLogin) {
    const text = {
      rule: 'belongs to password login, which is off',
      source: `${urls.provider}/postgresql_flexible_server_resource.go`,
      remedy: 'Leave it out, or set server.authentication.passwordLogin.',
    };
    return [
      ...check(administratorLogin === undefined, `${at}.administratorLogin`, administratorLogin, {
        ...text,
        rule: `an administrator login ${text.rule}`,
      }),
      ...check(passwordVersion === undefined, `${at}.passwordVersion`, passwordVersion, {
        ...text,
        rule: `a password version ${text.rule}`,
      }),
    ];
  }
  const source = `${urls.provider}/validate/admin_usernames.go`;
  if (administratorLogin === undefined) {
    return [
      finding(`${at}.administratorLogin`, administratorLogin, {
        rule: 'password login needs the administrator’s login name',
        source: `${urls.provider}/postgresql_flexible_server_resource.go`,
      }),
    ];
  }
  return [
    ...check(
      /^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(administratorLogin) &&
        !reservedLogins.includes(administratorLogin.toLowerCase()) &&
        !administratorLogin.toLowerCase().startsWith('pg_'),
      `${at}.administratorLogin`,
      administratorLogin,
      {
        rule: `an administrator login is 1-63 letters, digits and underscores, does not start with pg_ and is none of ${reservedLogins.join(', ')}`,
        source,
      },
    ),
    ...check(
      passwordVersion === undefined || passwordVersion >= 1,
      `${at}.passwordVersion`,
      passwordVersion,
      {
        rule: 'a password’s version counts from 1',
        source: `${urls.provider}/postgresql_flexible_server_resource.go`,
      },
    ),
  ];
};

const loginNames: Rule = ({ server: { authentication }, database }) => {
  const named = [
    ...authentication.administrators.map(
      (one, position) => [`server.authentication.administrators.${position}.name`, one.name] as const,
    ),
    ...database.logins.map((one, position) => [`database.logins.${position}.name`, one.name] as const),
  ];
  return named.flatMap(([field, name]) => {
    if (schemaRoles.includes(name)) {
      return [
        finding(field, name, {
          rule: `a login has not the name of a role the migrations make (${schemaRoles.join(', ')})`,
          source: 'docs/decisions.md, 11a',
        }),
      ];
    }
    return check(
      Buffer.byteLength(name) >= 1 && Buffer.byteLength(name) <= 63 && !/^(pg_|azure_)/i.test(name),
      field,
      name,
      {
        rule: 'a login’s name is 1-63 bytes and does not start with pg_ or azure_, which PostgreSQL and Azure keep for themselves',
        source: urls.roles,
      },
    );
  });
};

const distinctLogins: Rule = ({ server: { authentication }, database }: EnvironmentSettings) => {
  const administrating = new Set(authentication.administrators.map((one) => one.objectId.toLowerCase()));
  return [
    ...repeated(database.logins, (one) => one.name).map(({ item, position }) =>
      finding(`database.logins.${position}.name`, item.name, {
        rule: 'a login is listed once, in one role',
        source: urls.roles,
      }),
    ),
    ...repeated(database.logins, (one) => one.objectId.toLowerCase()).map(({ item, position }) =>
      finding(`database.logins.${position}.objectId`, item.objectId, {
        rule: 'an Entra principal has one login',
        source: urls.entra,
      }),
    ),
    ...database.logins.flatMap((one, position) =>
      check(
        !administrating.has(one.objectId.toLowerCase()),
        `database.logins.${position}.objectId`,
        one.objectId,
        {
          rule: 'a tenant-facing login is no administrator: an administrator’s membership would undo the isolation of tenants',
          source: 'docs/decisions.md, 11a',
        },
      ),
    ),
  ];
};

export const authenticationRules: readonly Rule[] = [
  ids,
  administrators,
  password,
  loginNames,
  distinctLogins,
];
