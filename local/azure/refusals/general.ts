/** Refusals of the resource manager that concern any resource. */
import { defineRefusals, learn } from '../core/refusal.ts';

const manager = `${learn}/azure-resource-manager`;
const locks = `${manager}/management/lock-resources`;
const errors = `${manager}/troubleshooting/common-deployment-errors`;

export const general = defineRefusals('Every request', {
  invalidAuthenticationToken: {
    status: 401,
    code: 'InvalidAuthenticationToken',
    rule: 'A request carries a token of the directory for the resource manager that has not expired',
    source: 'https://learn.microsoft.com/rest/api/azure/#create-the-request',
    message: () => 'The access token is missing, invalid or expired.',
  },
  invalidRequestContent: {
    status: 400,
    code: 'InvalidRequestContent',
    rule: 'The body of a request is a JSON object',
    source: errors,
    message: () => 'The request content was not a JSON object.',
  },
  subscriptionNotFound: {
    status: 404,
    code: 'SubscriptionNotFound',
    rule: 'The subscription exists in the tenant of the token',
    source: errors,
    message: (id: string) => `The subscription '${id}' could not be found.`,
  },
  throttled: {
    status: 429,
    code: 'SubscriptionRequestsThrottled',
    rule: 'An identity sends no more reads, writes and deletes than its bucket holds (if a rehearsal asks for it)',
    source: `${manager}/management/request-limits-and-throttling`,
    message: (kind: string, bucket: number, seconds: number) =>
      `Number of '${kind}' requests for the subscription exceeded the limit of '${bucket}'. Please try again after '${seconds}' seconds.`,
    headers: (_kind: string, _bucket: number, seconds: number) => ({ 'retry-after': String(seconds) }),
  },
  scopeLocked: {
    status: 409,
    code: 'ScopeLocked',
    rule: 'No lock on the resource or above it forbids the change; ReadOnly also forbids each POST',
    source: locks,
    message: (id: string, action: string, scope: string) =>
      `The scope '${id}' cannot perform ${action} operation because following scope(s) are locked: '${scope}'. Please remove the lock and try again.`,
  },
  reservedResourceName: {
    status: 400,
    code: 'ReservedResourceName',
    rule: 'A name that becomes a host name contains no reserved word',
    source: `${manager}/troubleshooting/error-reserved-resource-name`,
    message: (name: string) =>
      `The resource name '${name}' or a part of the name is a trademarked or reserved word.`,
  },
  invalidResourceName: {
    status: 400,
    code: 'InvalidResourceName',
    rule: 'A name has the length and the characters of its type',
    source: `${manager}/management/resource-name-rules`,
    message: (name: string, type: string) =>
      `Resource name ${name} is invalid. The name of a resource of type ${type} has the length and the characters that the naming rules give.`,
  },
  resourceGroupNotFound: {
    status: 404,
    code: 'ResourceGroupNotFound',
    rule: 'The resource group of a resource exists',
    source: `${manager}/troubleshooting/error-not-found`,
    message: (group: string) => `Resource group '${group}' could not be found.`,
  },
  resourceNotFound: {
    status: 404,
    code: 'ResourceNotFound',
    rule: 'A resource that is read, changed or acted on exists',
    source: `${manager}/troubleshooting/error-not-found`,
    message: (type: string, name: string, group: string) =>
      `The Resource '${type}/${name}' under resource group '${group}' was not found.`,
  },
  parentResourceNotFound: {
    status: 404,
    code: 'ParentResourceNotFound',
    rule: 'The parent of a child resource exists',
    source: `${manager}/troubleshooting/error-parent-resource`,
    message: (type: string, parent: string) =>
      `Failed to perform 'write' on resource(s) of type '${type}', because the parent resource '${parent}' could not be found.`,
  },
  operationNotFound: {
    status: 404,
    code: 'OperationNotFound',
    rule: 'An operation that is polled was started',
    source: `${manager}/management/async-operations`,
    message: (id: string) => `The operation '${id}' could not be found.`,
  },
  invalidResourceGroupLocation: {
    status: 409,
    code: 'InvalidResourceGroupLocation',
    rule: 'A resource group stays in its location',
    source: errors,
    message: (group: string, location: string) =>
      `Invalid resource group location. The Resource group '${group}' already exists in location '${location}'.`,
  },
  invalidFilter: {
    status: 400,
    code: 'InvalidFilterInQueryString',
    rule: 'A list of all resources is filtered by type',
    source: 'https://learn.microsoft.com/rest/api/resources/resources/list',
    message: (filter: string) => `Invalid $filter '${filter}' specified in the query string.`,
  },
});
