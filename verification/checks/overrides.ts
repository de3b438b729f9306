/** Settings and limits that somebody gave to roles, to the database or to the server. */
import { isAllowed, isPlatform, placeOf } from '../../database/overrides.ts';
import { checksOf, type Finding } from '../check.ts';
import {
  describeGrants,
  everyAdministrator,
  foreignGrants,
  groupRoles,
  loginRoles,
  modelOf,
  owner,
} from '../model.ts';
import { counted, hiddenSettings, judge, listed } from '../outcome.ts';
import { sameValue } from '../parameters.ts';
import { rolesOfTenants } from '../reach.ts';
import type { Setting, Snapshot } from '../snapshot/snapshot.ts';

/** Categories of pg_settings whose values change results, or code that a session runs. */
const decisive =
  /^(Client Connection Defaults|Version and Platform Compatibility|Developer Options|Error Handling|Write-Ahead Log \/ Settings)/;

/** Numbers are limits, sizes and costs; SET-006 and SET-016 compare those that the environment sets. */
const decided = new Set(['bool', 'enum', 'string']);

/**
 * Parameters of those categories whose value another check judges, that initdb or Azure choose, or that change neither
 * results nor what survives a crash.
 */
const judgedElsewhere = new Set([
  ...['default_transaction_read_only', 'synchronous_commit', 'shared_preload_libraries'],
  ...['session_replication_role', 'log_statement', 'app.current_tenant_id'],
  ...[
    'default_text_search_config',
    'lc_messages',
    'lc_monetary',
    'lc_numeric',
    'lc_time',
    'icu_validation_level',
  ],
  ...[
    'default_toast_compression',
    'wal_compression',
    'wal_level',
    'wal_sync_method',
    'wal_log_hints',
    'wal_init_zero',
  ],
  ...[
    'wal_recycle',
    'summarize_wal',
    'jit_provider',
    'extension_destdir',
    'client_encoding',
    'timezone_abbreviations',
  ],
  ...[
    'dynamic_library_path',
    'extension_control_path',
    'log_checkpoints',
    'trace_sort',
    'gin_fuzzy_search_limit',
  ],
]);

/** Values beside the built-in one that initdb or Azure give. */
const usual: Readonly<Record<string, RegExp>> = {
  DateStyle: /^ISO\b/i,
  TimeZone: /^(UTC|GMT|Etc\/(UTC|GMT|UCT|Zulu))$/i,
  client_min_messages: /^(notice|warning|error)$/,
  restart_after_crash: /^(on|off)$/,
};

/** Settings of a server that nobody at Azure runs, where tests and sandboxes trade durability for speed. */
const durability = new Set(['fsync', 'full_page_writes']);

function isNeutral(name: string, { value, builtIn }: Setting, { server }: Snapshot): boolean {
  if (value === (builtIn ?? '') || (durability.has(name) && !server.isAzure)) return true;
  return usual[name]?.test(value) ?? false;
}

export const checks = checksOf('settings', [
  {
    id: 'SET-020',
    name: 'roles-keep-settings-of-the-server',
    loses: 'availability',
    title: 'No role and no database has a setting of its own',
    inspects:
      "every row of pg_db_role_setting, of roles, databases and pairs of them, except for the platform's roles and application_name",
    why: 'Every role can ALTER ROLE CURRENT_USER SET, which PostgreSQL cannot forbid: a login with row_security = off, statement_timeout = 1, default_transaction_read_only = on or a missing library in local_preload_libraries serves no tenant any more, and one without timeouts holds locks without limit.',
    remedy:
      'Run llama-db post-deploy, which resets them, or ALTER ROLE … RESET (ALTER DATABASE … RESET). Then find out who set it: the log has the statement.',
    source: 'PostgreSQL manual, ALTER ROLE; docs/isolation.md; strong_migrations (timeouts on the user)',
    run: ({ snapshot: { roleSettings } }) =>
      judge(
        counted(roleSettings.length, 'setting'),
        roleSettings
          .filter((override) => !isAllowed(override))
          .map((override) => ({
            object: placeOf(override),
            // The value may be a secret (ENC-003).
            detail: `sets ${override.name}`,
          })),
      ),
  },
  {
    id: 'SET-024',
    name: 'database-open-and-unlimited',
    loses: 'availability',
    title: 'The database accepts connections, and has no attribute or privilege of its own',
    inspects:
      'pg_database: datallowconn, datconnlimit, datistemplate, dattablespace, and CONNECT and TEMPORARY in datacl',
    why: 'With ALLOW_CONNECTIONS false, a limit, or without CONNECT the application cannot connect at the next restart. Anyone with CREATEDB may copy a template, with the rows of every tenant.',
    remedy:
      'ALTER DATABASE … ALLOW_CONNECTIONS true CONNECTION LIMIT -1 IS_TEMPLATE false; GRANT CONNECT …; REVOKE TEMPORARY ….',
    source: 'PostgreSQL manual, ALTER DATABASE; migrations/0002_roles.sql',
    run: ({ snapshot }) => {
      const { server, roles } = snapshot;
      const model = modelOf(snapshot);
      const grants = foreignGrants(server.databaseGrants, server.databaseOwner);
      const connecting = new Set(
        server.databaseGrants
          .filter(({ privilege }) => privilege === 'CONNECT')
          .map(({ grantee }) => grantee),
      );
      const locked = roles.filter(
        ({ name, login }) =>
          login &&
          loginRoles.some((role) => model.rightsOf(name).has(role)) &&
          ![...model.rightsOf(name)].some((right) => connecting.has(right)),
      );
      const excess = grants.filter(
        ({ privilege, grantee, grantable }) =>
          !isPlatform(grantee) &&
          !model.reach(grantee).has(everyAdministrator) &&
          // ISO-031 reports TEMPORARY of tenants.
          (grantable ||
            (privilege === 'TEMPORARY' &&
              !groupRoles.includes(grantee) &&
              !rolesOfTenants(snapshot).has(grantee))),
      );
      const object = `database ${server.database}`;
      return judge(object, [
        ...listed(
          object,
          'has',
          [
            server.isTemplate && 'IS_TEMPLATE true',
            !server.allowsConnections && 'ALLOW_CONNECTIONS false',
            server.connectionLimit !== -1 && `CONNECTION LIMIT ${server.connectionLimit}`,
            server.tablespace !== 'pg_default' && `TABLESPACE ${server.tablespace}`,
          ].filter((attribute) => attribute !== false),
        ),
        ...(excess.length > 0 ? [{ object, detail: `grants ${describeGrants(excess)}` }] : []),
        ...locked.map(({ name }) => ({ object: `role ${name}`, detail: `may not connect to ${object}` })),
      ]);
    },
  },
  {
    id: 'SET-025',
    name: 'server-settings-neutral',
    loses: 'correctness',
    title:
      'No parameter of the server changes results, or the code that sessions run, unless the environment sets it',
    inspects:
      'pg_settings: switches, choices and texts of the categories Client Connection Defaults, Version and Platform Compatibility, Developer Options, Error Handling and Write-Ahead Log, against the built-in value and the parameters of the deployment',
    why: 'row_security = off makes every query of a tenant fail, session_preload_libraries and local_preload_libraries load code into every session, and formats change what jobs read.',
    remedy: 'Reset the parameter in Azure, or set it in the environment file, where it is reviewed.',
    source: 'PostgreSQL manual, Client Connection Defaults; docs/decisions.md, 8',
    run: ({ snapshot, deployment }) => {
      const hidden = hiddenSettings(snapshot);
      if (hidden) return hidden;
      const judged = [...snapshot.settings].filter(
        ([name, { category, type }]) =>
          decisive.test(category) && decided.has(type) && !judgedElsewhere.has(name),
      );
      const wanted = new Map(
        Object.entries(deployment?.parameters ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
      );
      return judge(
        counted(judged.length, 'parameter'),
        judged.flatMap(([name, setting]): Finding[] => {
          const own = wanted.get(name.toLowerCase());
          // SET-016 reports a parameter of the deployment with another value.
          if (own !== undefined || isNeutral(name, setting, snapshot)) return [];
          if (sameValue(setting.value, setting.builtIn ?? '')) return [];
          return [{ object: `parameter ${name}`, detail: `is ${setting.value || "''"}` }];
        }),
      );
    },
  },
  {
    id: 'SET-026',
    name: 'logins-can-log-in',
    loses: 'availability',
    title: 'Logins can log in, at any time and as often as they need',
    inspects:
      'pg_roles of the logins of the deployment, of every member of a group role and of the administrators: LOGIN, VALID UNTIL, CONNECTION LIMIT, INHERIT; of the group roles: VALID UNTIL, CONNECTION LIMIT',
    why: 'A login that expires, is limited or lost LOGIN or INHERIT serves nobody at its next connection, in the middle of a night. The administrator of deployments cannot repair what it cannot reach.',
    remedy:
      "Run llama-db post-deploy, or ALTER ROLE … LOGIN INHERIT CONNECTION LIMIT -1 VALID UNTIL 'infinity'.",
    source: 'PostgreSQL manual, ALTER ROLE',
    run: ({ snapshot, deployment }) => {
      const model = modelOf(snapshot);
      const declared = new Set([
        ...(deployment?.logins ?? []).map(({ name }) => name),
        ...(deployment ? [deployment.administrator] : []),
        snapshot.server.login,
      ]);
      const groups = new Set(snapshot.memberships.map(({ role }) => role));
      // VALID UNTIL limits a password, and these log in with a token.
      const byToken = new Set((deployment?.azure?.administrators ?? []).map(({ name }) => name));
      const judged = snapshot.roles.filter(
        ({ name, bootstrap }) =>
          !bootstrap &&
          !isPlatform(name) &&
          (declared.has(name) ||
            [...groupRoles, owner, everyAdministrator].some((role) => model.reach(name).has(role))),
      );
      return judge(
        counted(judged.length, 'role'),
        judged.flatMap(({ name, login, inherit, connectionLimit, validUntil }) => {
          const group = groupRoles.includes(name);
          // A role that has members of its own is a group; ROL-006 reports members that the settings do not name.
          const logsIn = declared.has(name) || (!deployment && !group && !groups.has(name));
          return listed(
            `role ${name}`,
            'has',
            [
              logsIn && !login && 'NOLOGIN',
              logsIn && !inherit && 'NOINHERIT',
              connectionLimit !== -1 && `CONNECTION LIMIT ${connectionLimit}`,
              validUntil !== null && !byToken.has(name) && `VALID UNTIL ${validUntil}`,
            ].filter((attribute) => attribute !== false),
          );
        }),
      );
    },
  },
]);
