/** Extensions, preloaded libraries, PgBouncer and server parameters. */
import {
  extension,
  extensionNames,
  extensionsSource,
  librariesWithoutExtension,
} from '../../azure/extensions.ts';
import {
  extensionOfParameter,
  type Parameter,
  type ParameterInput,
  parameter,
  parameterCatalogue,
  parametersSource,
  refusal,
} from '../../azure/parameters.ts';
import { nearest } from '../../core/nearest.ts';
import { decidedElsewhere, preloadLibraries } from '../parameters.ts';
import type { Candidate } from '../resolved.ts';
import { check, defineRules, didYouMean, type Finding, type Rule, repeated, urls } from '../rule.ts';

function extensions({ server }: Candidate) {
  return server.extensions.map((name, position) => ({
    field: `server.extensions.${position}`,
    name,
    known: extension(name),
    isLibrary: librariesWithoutExtension.includes(name),
  }));
}

interface Setting {
  readonly field: string;
  readonly name: string;
  readonly value: ParameterInput;
  /** Undefined if the project does not know the parameter. */
  readonly known: Parameter | undefined;
}

/** The parameters of both servers that no other field decides. */
function settable({ server, replica }: Candidate): readonly Setting[] {
  const given = { 'server.parameters': server.parameters, 'replica.parameters': replica?.parameters ?? {} };
  return Object.entries(given).flatMap(([at, parameters]) =>
    Object.entries(parameters)
      .filter(([name]) => decidedElsewhere[name] === undefined)
      .map(([name, value]) => ({ field: `${at}.${name}`, name, value, known: parameter(name) })),
  );
}

/** Reasons for which a known parameter cannot be set at all. Its value counts only without one. */
function notSettable({ known, name }: Setting, { server }: Candidate) {
  if (known?.apply === 'read-only') return 'read-only';
  if ((known?.since ?? 0) > server.version) return 'newer';
  if (name.startsWith('pgbouncer.') && !server.pgBouncer) return 'hidden';
  return undefined;
}

/** A rule about known parameters that cannot be set, for one of the reasons. */
function settableFindings(
  candidate: Candidate,
  reason: ReturnType<typeof notSettable>,
  describe: (setting: Setting, known: Parameter) => Pick<Finding, 'rule'>,
): readonly Finding[] {
  return settable(candidate).flatMap((setting) => {
    const { field, value, known } = setting;
    return known && notSettable(setting, candidate) === reason
      ? [{ field, value, ...describe(setting, known) }]
      : [];
  });
}

/** A rule about values that Azure would accept and this project does not. */
function fixedValue(name: string, accepted: readonly ParameterInput[], text: Omit<Rule, 'check'>): Rule {
  return {
    ...text,
    check: (candidate) =>
      settable(candidate).flatMap((setting) =>
        setting.name === name && isValid(setting, candidate)
          ? check(accepted.includes(setting.value), setting.field, setting.value)
          : [],
      ),
  };
}

function isValid(setting: Setting, candidate: Candidate): boolean {
  const { known, name, value } = setting;
  return !!known && !notSettable(setting, candidate) && refusal(known, name, value) === undefined;
}

export const parameterRules = defineRules({
  'parameters/library-is-not-an-extension': {
    rule: `a library without an extension (${librariesWithoutExtension.join(', ')}) is not listed among the extensions: there is nothing to create`,
    source: extensionsSource,
    remedy: 'List it in server.preloadLibraries.',
    check: (candidate) =>
      extensions(candidate).flatMap(({ field, name, isLibrary }) => check(!isLibrary, field, name)),
  },

  'parameters/known-extension': {
    rule: 'an extension is one that Azure offers, by its lower-case name',
    source: extensionsSource,
    check: (candidate) =>
      extensions(candidate).flatMap(({ field, name, known, isLibrary }) =>
        check(isLibrary || known !== undefined, field, name, {
          remedy: didYouMean(
            nearest(name, extensionNames),
            "If Azure's table has the extension, add it to azure/extensions.ts.",
          ),
        }),
      ),
  },

  'parameters/extension-version': {
    rule: "Azure offers the extension for the server's version",
    source: extensionsSource,
    check: (candidate) =>
      extensions(candidate).flatMap(({ field, name, known }) =>
        check((known?.since ?? 0) <= candidate.server.version, field, name, {
          rule: `Azure offers ${name} from PostgreSQL ${known?.since} on, and server.version is ${candidate.server.version}`,
        }),
      ),
  },

  'parameters/extensions-are-distinct': {
    rule: 'an extension is listed once',
    source: 'environments/settings.ts',
    check: ({ server }) =>
      repeated(server.extensions, (name) => name).map(({ item, position }) => ({
        field: `server.extensions.${position}`,
        value: item,
      })),
  },

  'parameters/preload-library': {
    rule: `server.preloadLibraries lists only libraries without an extension: ${librariesWithoutExtension.join(', ')}`,
    source: 'environments/settings.ts',
    remedy: 'List the extension in server.extensions: its library is then preloaded.',
    check: ({ server }) =>
      server.preloadLibraries.flatMap((library, position) =>
        check(librariesWithoutExtension.includes(library), `server.preloadLibraries.${position}`, library),
      ),
  },

  'parameters/audit-classes-are-distinct': {
    rule: 'a class of audited statements is listed once',
    source: 'environments/settings.ts',
    check: ({ server }) =>
      server.extensions.includes('pgaudit')
        ? repeated(server.auditClasses, (one) => one).map(({ item, position }) => ({
            field: `server.auditClasses.${position}`,
            value: item,
          }))
        : [],
  },

  'parameters/pooler-limits': {
    rule: "PgBouncer's sizes are within the range of their parameters",
    source: urls.pgBouncer,
    check: ({ server: { pgBouncer } }) => {
      if (!pgBouncer) return [];
      const sizes = [
        ['defaultPoolSize', 'pgbouncer.default_pool_size'],
        ['maxClientConnections', 'pgbouncer.max_client_conn'],
      ] as const;
      return sizes.flatMap(([field, name]) => {
        const known = parameter(name);
        const wrong = known && refusal(known, name, pgBouncer[field]);
        return check(wrong === undefined, `server.pgBouncer.${field}`, pgBouncer[field], {
          rule: `${name} ${wrong}`,
        });
      });
    },
  },

  'parameters/pool-mode': {
    rule: 'the pool mode is not statement: it refuses transactions, and each transaction sets its tenant',
    source: 'docs/decisions.md, 16; https://www.pgbouncer.org/config.html#pool_mode',
    check: ({ server: { pgBouncer } }) =>
      check(pgBouncer?.poolMode !== 'statement', 'server.pgBouncer.poolMode', pgBouncer?.poolMode),
  },

  'parameters/decided-once': {
    rule: 'a parameter that another field of the settings decides is not set a second time',
    source: 'environments/parameters.ts',
    check: ({ server, replica }) => {
      const given = { server, replica: replica ?? { parameters: {} } };
      return Object.entries(given).flatMap(([at, { parameters }]) =>
        Object.entries(parameters).flatMap(([name, value]) => {
          const by = decidedElsewhere[name];
          return check(by === undefined, `${at}.parameters.${name}`, value, {
            rule: `${name} follows from ${by} and is not set a second time`,
            remedy: `Change ${by}.`,
          });
        }),
      );
    },
  },

  'parameters/known': {
    rule: 'a parameter is one of the Flexible Server that this project knows',
    source: `azure/parameter-catalogue.ts; ${parametersSource}`,
    check: (candidate) =>
      settable(candidate).flatMap(({ field, name, value, known }) =>
        check(known !== undefined || extensionOfParameter(name) !== undefined, field, value, {
          remedy: didYouMean(
            nearest(name, Object.keys(parameterCatalogue)),
            'If Azure has the parameter, add it to azure/parameter-catalogue.ts.',
          ),
        }),
      ),
  },

  'parameters/extension-is-there': {
    rule: 'a parameter of an extension is set only if server.extensions or server.preloadLibraries has the extension',
    source: extensionsSource,
    check: (candidate) => {
      const { server } = candidate;
      const libraries = [...server.extensions, ...preloadLibraries(server)];
      return settable(candidate).flatMap(({ field, name, value, known }) => {
        const owner = known ? undefined : extensionOfParameter(name);
        return check(owner === undefined || libraries.includes(owner), field, value, {
          rule: `${name} belongs to ${owner}, which is neither in server.extensions nor in server.preloadLibraries`,
        });
      });
    },
  },

  'parameters/settable': {
    rule: 'a parameter is not read-only: Azure sets those itself',
    source: parametersSource,
    check: (candidate) =>
      settableFindings(candidate, 'read-only', ({ name }, known) => ({
        rule: `${name} is read-only: Azure sets it${known.default ? ` to ${known.default}` : ''}`,
      })),
  },

  'parameters/version': {
    rule: "a parameter exists in the server's version",
    source: parametersSource,
    check: (candidate) =>
      settableFindings(candidate, 'newer', ({ name }, known) => ({
        rule: `${name} exists from PostgreSQL ${known.since} on, and server.version is ${candidate.server.version}`,
      })),
  },

  'parameters/pooler-is-on': {
    rule: "PgBouncer's parameters are set only if it is on: Azure hides them until then",
    source: urls.pgBouncer,
    remedy: 'Set server.pgBouncer.',
    check: (candidate) => settableFindings(candidate, 'hidden', () => ({})),
  },

  'parameters/value': {
    rule: "a parameter's value is one that Azure accepts, in the parameter's own unit",
    source: parametersSource,
    check: (candidate) =>
      settable(candidate).flatMap((setting) => {
        const { field, name, value, known } = setting;
        if (!known || notSettable(setting, candidate)) return [];
        const wrong = refusal(known, name, value);
        return check(wrong === undefined, field, value, { rule: `${name} ${wrong}` });
      }),
  },

  'parameters/encrypted-connections': fixedValue('require_secure_transport', [true, 'on'], {
    rule: "connections are encrypted: clear text would carry tokens and tenants' data",
    source: 'docs/decisions.md, 35; CIS Microsoft Azure Foundations, "Enforce SSL connection"',
  }),

  'parameters/row-security': fixedValue('row_security', [true, 'on'], {
    rule: 'row security stays on: without it, a query that a policy would limit fails instead',
    source:
      'docs/decisions.md, 15; https://www.postgresql.org/docs/17/runtime-config-client.html#GUC-ROW-SECURITY',
  }),

  'parameters/triggers-fire': fixedValue('session_replication_role', ['origin'], {
    rule: 'triggers fire: they write the audit trail',
    source:
      'docs/decisions.md, 14a; https://www.postgresql.org/docs/17/runtime-config-client.html#GUC-SESSION-REPLICATION-ROLE',
  }),
});
