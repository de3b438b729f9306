/** Refusals of what belongs to a Flexible Server: databases, rules, administrators, parameters, backups, endpoints. */
import { defineRefusals, learn } from '../core/refusal.ts';

const docs = `${learn}/postgresql`;
const entra = `${docs}/security/security-entra-concepts`;
const servers = `${docs}/configure-maintain/concepts-servers`;
const replicas = `${docs}/read-replica/concepts-read-replicas`;
const parameters = `${docs}/server-parameters/concepts-server-parameters`;
const backups = `${docs}/backup-restore/concepts-backup-restore`;
const endpoints = `${docs}/read-replica/concepts-read-replicas-virtual-endpoints`;

export const children = defineRefusals('Parts of a Flexible Server', {
  replicaReadOnly: {
    status: 400,
    code: 'ReplicaIsReadOnly',
    rule: 'Databases and Entra administrators are changed on the server that takes writes',
    source: replicas,
    message: (what: string, name: string) =>
      `${what} cannot be changed on replica '${name}', which is read-only.`,
  },
  databaseReserved: {
    status: 400,
    code: 'InvalidDatabaseName',
    rule: "Azure's own databases are not created",
    source: servers,
    message: (name: string) => `The database name '${name}' is reserved.`,
  },
  databasePostgresDeleted: {
    status: 400,
    code: 'InvalidDatabaseName',
    rule: 'The database postgres is not deleted',
    source: servers,
    message: () => `The database 'postgres' cannot be deleted.`,
  },
  firewallRuleOfPrivateServer: {
    status: 400,
    code: 'FirewallRulesNotSupported',
    rule: 'Firewall rules are for servers with public access',
    source: `${docs}/network/concepts-networking-public`,
    message: (name: string) =>
      `Firewall rule operations cannot be requested for the private access enabled server '${name}'.`,
  },
  firewallRuleNotValid: {
    status: 400,
    code: 'InvalidFirewallRule',
    rule: 'A firewall rule is an IPv4 range that does not end before it starts',
    source: `${docs}/network/concepts-networking-public`,
    message: (name: string) =>
      `Firewall rule '${name}' needs an IPv4 range whose start is not after its end.`,
  },
  entraLoginOff: {
    status: 400,
    code: 'AadAuthOperationCannotBePerformedWhenDisabled',
    rule: 'Entra administrators need Entra login',
    source: entra,
    message: (name: string) => `Microsoft Entra authentication is not enabled on server '${name}'.`,
  },
  administratorOfAnotherTenant: {
    status: 400,
    code: 'InvalidTenantId',
    rule: 'An Entra administrator is in the tenant of the server',
    source: entra,
    message: (name: string, tenant: string) => `Administrator '${name}' is not of tenant ${tenant}.`,
  },
  parameterNotText: {
    status: 400,
    code: 'InvalidParameterValue',
    rule: 'The value of a parameter is a text',
    source: 'https://learn.microsoft.com/rest/api/postgresql/configurations/put',
    message: (name: string, given: string) =>
      `The value of parameter ${name} must be a text, as ${given} is not.`,
  },
  parameterUnknown: {
    status: 404,
    code: 'ResourceNotFound',
    rule: 'A parameter exists in the version; those of PgBouncer once it is enabled, and never on Burstable',
    source: `${parameters}; ${docs}/connectivity/concepts-pgbouncer`,
    message: (name: string, server: string) =>
      `The server parameter '${name}' does not exist on '${server}'.`,
  },
  parameterReadOnly: {
    status: 400,
    code: 'InvalidParameterName',
    rule: 'A read-only parameter is not set',
    source: parameters,
    message: (name: string) => `The server parameter '${name}' is read-only.`,
  },
  parameterValueNotValid: {
    status: 400,
    code: 'InvalidParameterValue',
    rule: 'A value has the kind and range of the parameter; azure.extensions names extensions that Azure offers for the version',
    source: `${parameters}; ${docs}/extensions/concepts-extensions-versions`,
    message: (name: string, value: string, why: string) =>
      `Invalid value given for parameter ${name}: '${value}' ${why}.`,
  },
  parameterBelowPrimary: {
    status: 400,
    code: 'ReplicaParameterBelowPrimary',
    rule: 'The five inherited limits of a replica are at least those of its primary',
    source: replicas,
    message: (name: string, replica: string, primary: string) =>
      `${name} of replica '${replica}' must be at least that of its primary '${primary}': raise it on the replica first, lower it on the primary first.`,
  },
  backupOfReplica: {
    status: 400,
    code: 'BackupNotSupportedOnReplica',
    rule: 'No backup is taken of a replica',
    source: replicas,
    message: (name: string) => `Backups are not taken of replica '${name}'.`,
  },
  backupIsAutomatic: {
    status: 400,
    code: 'AutomaticBackup',
    rule: 'An automatic backup is not deleted',
    source: backups,
    message: (name: string) => `The automatic backup '${name}' cannot be deleted.`,
  },
  endpointOnReplica: {
    status: 400,
    code: 'VirtualEndpointOnReplica',
    rule: 'A virtual endpoint belongs to a primary',
    source: endpoints,
    message: (name: string) => `A virtual endpoint belongs to a primary, and '${name}' is a replica.`,
  },
  endpointNameTaken: {
    status: 409,
    code: 'VirtualEndpointNameAlreadyExists',
    rule: 'The name of a virtual endpoint is unique in all of Azure',
    source: endpoints,
    message: (name: string) => `Virtual endpoint name '${name}' is already used.`,
  },
  secondEndpoint: {
    status: 409,
    code: 'VirtualEndpointExists',
    rule: 'A primary has one virtual endpoint',
    source: endpoints,
    message: (name: string) => `Server '${name}' already has a virtual endpoint.`,
  },
  endpointWithTwoReaders: {
    status: 400,
    code: 'TooManyMembers',
    rule: 'The reader of a virtual endpoint leads to one server',
    source: endpoints,
    message: () => 'The reader of a virtual endpoint leads to one server.',
  },
  endpointOfStranger: {
    status: 400,
    code: 'InvalidMember',
    rule: 'The reader of a virtual endpoint is a replica of the primary',
    source: endpoints,
    message: (reader: string, name: string) => `Server '${reader}' is not a replica of '${name}'.`,
  },
});
