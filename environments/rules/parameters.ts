/** Extensions, preloaded libraries, PgBouncer and server parameters. */
import {
  extension,
  extensionNames,
  extensionsSource,
  librariesWithoutExtension,
} from '../../azure/extensions.ts';
import {
  extensionOfParameter,
  type ParameterInput,
  parameter,
  parameterCatalogue,
  parametersSource,
  refusal,
} from '../../azure/parameters.ts';
import { nearest } from '../../core/nearest.ts';
import { decidedElsewhere, preloadLibraries } from '../parameters.ts';
import type { ServerSettings } from '../settings.ts';
import { check, type Finding, finding, type Rule, repeated, urls } from './rule.ts';

const knownExtensions: Rule = ({ server }) => [
  ...server.extensions.flatMap((name, position): Finding[] => {
    const known = extension(name);
    const field = `server.extensions.${position}`;
    if (librariesWithoutExtension.includes(name)) {
      return [
        finding(field, name, {
          rule: `${name} is a library without an extension: there is nothing to create`,
          source: extensionsSource,
          remedy: 'List it in server.preloadLibraries.',
        }),
      ];
    }
    if (!known) {
      const guess = nearest(name, extensionNames);
      return [
        finding(field, name, {
          rule: 'an extension is one that Azure offers, by its lower-case name',
          source: extensionsSource,
          remedy: guess
            ? `Did you mean ${guess}?`
            : 'If Azure’s table has it and this list has not, add it to azure/extensions.ts.',
        }),
      ];
    }
    return [
      ...check((known.since ?? 0) <= server.version, field, name, {
        rule: `Azure offers ${name} from PostgreSQL ${known.since} on, and server.version is ${server.version}`,
        source: extensionsSource,
      }),
    ];
  }),
  ...repeated(server.extensions, (name) => name).map(({ item, position }) =>
    finding(`server.extensions.${position}`, item, {
      rule: 'an extension is listed once',
      source: extensionsSource,
    }),
  ),
];

const preloadable: Rule = ({ server }) =>
  server.preloadLibraries.flatMap((library, position) =>
    check(librariesWithoutExtension.includes(library), `server.preloadLibraries.${position}`, library, {
      rule: `only libraries without an extension are listed here: ${librariesWithoutExtension.join(', ')}`,
      source: extensionsSource,
      remedy: extensionNames.includes(library)
        ? 'List it in server.extensions; its library is then preloaded by itself.'
        : 'What an extension needs is preloaded when server.extensions lists it.',
    }),
  );

const auditNeedsExtension: Rule = ({ server }) =>
  server.extensions.includes('pgaudit')
    ? repeated(server.auditClasses, (one) => one).map(({ item, position }) =>
        finding(`server.auditClasses.${position}`, item, {
          rule: 'a class is listed once',
          source: 'https://learn.microsoft.com/azure/postgresql/security/security-audit',
        }),
      )
    : [];

const pgBouncer: Rule = ({ server }) => {
  if (!server.pgBouncer) return [];
  const numbers = [
    ['defaultPoolSize', 'pgbouncer.default_pool_size', server.pgBouncer.defaultPoolSize],
    ['maxClientConnections', 'pgbouncer.max_client_conn', server.pgBouncer.maxClientConnections],
  ] as const;
  return [
    ...numbers.flatMap(([field, name, value]) => {
      const known = parameter(name);
      const wrong = known && refusal(known, name, value);
      return wrong
        ? [finding(`server.pgBouncer.${field}`, value, { rule: `${name} ${wrong}`, source: urls.pgBouncer })]
        : [];
    }),
    ...check(
      server.pgBouncer.poolMode !== 'statement',
      'server.pgBouncer.poolMode',
      server.pgBouncer.poolMode,
      {
        rule: 'a pool in mode statement refuses transactions, and the tenant is set inside one',
        source: 'docs/decisions.md, 16; https://www.pgbouncer.org/config.html#pool_mode',
      },
    ),
  ];
};

const values: Rule = ({ server, replica }) => [
  ...parameterFindings('server.parameters', server.parameters, server),
  ...(replica ? parameterFindings('replica.parameters', replica.parameters, server) : []),
];

function parameterFindings(
  field: string,
  parameters: Readonly<Record<string, ParameterInput>>,
  server: ServerSettings,
): Finding[] {
  return Object.entries(parameters).flatMap(([name, value]) =>
    parameterFinding(`${field}.${name}`, name, value, server),
  );
}

function parameterFinding(
  field: string,
  name: string,
  value: ParameterInput,
  server: ServerSettings,
): readonly Finding[] {
  const decidedBy = decidedElsewhere[name];
  if (decidedBy !== undefined) {
    return [
      finding(field, value, {
        rule: `${name} follows from ${decidedBy} and is not set a second time`,
        source: 'environments/parameters.ts',
        remedy: `Change ${decidedBy}.`,
      }),
    ];
  }
  const known = parameter(name);
  if (!known) return uncatalogued(field, name, value, server);
  if (known.apply === 'read-only') {
    return [
      finding(field, value, {
        rule: `${name} is read-only: Azure sets it${known.default ? ` to ${known.default}` : ''}`,
        source: parametersSource,
      }),
    ];
  }
  if ((known.since ?? 0) > server.version) {
    return [
      finding(field, value, {
        rule: `${name} exists from PostgreSQL ${known.since} on, and server.version is ${server.version}`,
        source: parametersSource,
      }),
    ];
  }
  if (name.startsWith('pgbouncer.') && !server.pgBouncer) {
    return [
      finding(field, value, {
        rule: 'PgBouncer’s parameters are hidden until it is on',
        source: urls.pgBouncer,
        remedy: 'Set server.pgBouncer.',
      }),
    ];
  }
  const wrong = refusal(known, name, value);
  if (wrong !== undefined) {
    return [finding(field, value, { rule: `${name} ${wrong}`, source: parametersSource })];
  }
  return never(field, name, value);
}

/** Values Azure would take and this project does not. */
function never(field: string, name: string, value: ParameterInput): readonly Finding[] {
  if (name === 'require_secure_transport') {
    return check(value === true || value === 'on', field, value, {
      rule: 'connections are encrypted: clear text would carry tokens and tenants’ data',
      source: 'CIS Microsoft Azure Foundations, “Enforce SSL connection”',
    });
  }
  if (name === 'row_security') {
    return check(value === true || value === 'on', field, value, {
      rule: 'row security stays on: without it a query that a policy would narrow fails instead',
      source: 'https://www.postgresql.org/docs/17/runtime-config-client.html#GUC-ROW-SECURITY',
    });
  }
  if (name === 'session_replication_role') {
    return check(value === 'origin', field, value, {
      rule: 'triggers fire: the audit trail is written by them',
      source: 'https://www.postgresql.org/docs/17/runtime-config-client.html#GUC-SESSION-REPLICATION-ROLE',
    });
  }
  return [];
}

function uncatalogued(
  field: string,
  name: string,
  value: ParameterInput,
  server: ServerSettings,
): readonly Finding[] {
  const owner = extensionOfParameter(name);
  if (owner !== undefined) {
    const there = server.extensions.includes(owner) || preloadLibraries(server).includes(owner);
    return check(there, field, value, {
      rule: `${name} belongs to ${owner}, which is neither in server.extensions nor in server.preloadLibraries`,
      source: extensionsSource,
    });
  }
  const guess = nearest(name, Object.keys(parameterCatalogue));
  return [
    finding(field, value, {
      rule: `${name} is no parameter of the Flexible Server that this project knows`,
      source: parametersSource,
      remedy: guess ? `Did you mean ${guess}?` : 'If Azure has it, add it to azure/parameter-catalogue.ts.',
    }),
  ];
}

export const parameterRules: readonly Rule[] = [
  knownExtensions,
  preloadable,
  auditNeedsExtension,
  pgBouncer,
  values,
];
