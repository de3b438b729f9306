/** Refusals of template deployments. */
import { defineRefusals, learn } from '../core/refusal.ts';

const templates = `${learn}/azure-resource-manager/templates`;
const troubleshooting = `${learn}/azure-resource-manager/troubleshooting/error-invalid-template`;

export const deployments = defineRefusals('Template deployments', {
  deploymentNotFound: {
    status: 404,
    code: 'DeploymentNotFound',
    rule: 'The record of a deployment that is read or exported exists',
    source: `${templates}/deployment-history`,
    message: (name: string) => `Deployment '${name}' could not be found.`,
  },
  parameterNotGiven: {
    status: 400,
    code: 'InvalidTemplate',
    rule: 'Each parameter without a default has a value',
    source: `${templates}/parameters`,
    message: (name: string) => `The value for the template parameter '${name}' is not provided.`,
  },
  nameNotFound: {
    status: 400,
    code: 'InvalidTemplate',
    rule: 'A parameter or variable that an expression uses is declared',
    source: troubleshooting,
    message: (what: string) => `The template ${what} is not found.`,
  },
  referenceNotFound: {
    status: 400,
    code: 'InvalidTemplate',
    rule: 'A resource that an expression refers to exists',
    source: `${templates}/template-functions-resource#reference`,
    message: (id: string) => `The resource '${id}' is not defined in the template and does not exist.`,
  },
  dependencyNotDefined: {
    status: 400,
    code: 'InvalidTemplate',
    rule: 'A resource depends on resources of the same template',
    source: `${templates}/resource-dependency`,
    message: (id: string) => `The resource '${id}' is not defined in the template.`,
  },
  dependenciesCircular: {
    status: 400,
    code: 'InvalidTemplate',
    rule: 'No resource depends on itself by way of others',
    source: `${templates}/resource-dependency`,
    message: () => 'Circular dependency detected on resource.',
  },
  dateNotValid: {
    status: 400,
    code: 'InvalidTemplate',
    rule: 'dateTimeAdd takes a date and an ISO 8601 duration',
    source: `${templates}/template-functions-date#datetimeadd`,
    message: (time: string, duration: string) => `Neither '${time}' nor '${duration}' may be malformed.`,
  },
});
