/** Refusals of Entra ID and Microsoft Graph. */
import { ArmError, type AzureResponse } from '../core/http.ts';
import { defineRefusals } from '../core/refusal.ts';

const errors = 'https://learn.microsoft.com/entra/identity-platform/reference-error-codes';
const federation =
  'https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations';

/** Entra answers as OAuth 2.0 does, with the number of its own code beside it. */
class EntraError extends ArmError {
  override toResponse(): AzureResponse {
    return {
      status: this.status,
      body: {
        error: this.code,
        error_description: this.message,
        error_codes: [Number(/AADSTS(\d+)/.exec(this.message)?.[1] ?? 0)],
      },
    };
  }
}

export const entra = defineRefusals(
  'Signing in',
  {
    tenantNotFound: {
      status: 400,
      code: 'invalid_request',
      rule: 'The tenant exists (AADSTS90002)',
      source: errors,
      message: (tenant: string) => `AADSTS90002: Tenant '${tenant}' not found.`,
    },
    applicationNotFound: {
      status: 400,
      code: 'unauthorized_client',
      rule: 'The application exists in the tenant (AADSTS700016)',
      source: errors,
      message: (client: string, tenant: string) =>
        `AADSTS700016: Application with identifier '${client}' was not found in the directory '${tenant}'.`,
    },
    secretExpired: {
      status: 401,
      code: 'invalid_client',
      rule: 'The secret of the application has not expired (AADSTS7000222)',
      source: errors,
      message: (client: string) =>
        `AADSTS7000222: The provided client secret keys for app '${client}' are expired.`,
    },
    invalidSecret: {
      status: 401,
      code: 'invalid_client',
      rule: 'The secret is the one of the application (AADSTS7000215)',
      source: errors,
      message: (client: string) => `AADSTS7000215: Invalid client secret provided for app '${client}'.`,
    },
    noFederatedCredential: {
      status: 401,
      code: 'invalid_client',
      rule: 'A federated token has the issuer, subject and audience of a credential of the identity, in the same case (AADSTS700213)',
      source: federation,
      message: (subject: string) =>
        `AADSTS700213: No matching federated identity record found for presented assertion subject '${subject}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.`,
    },
    assertionExpired: {
      status: 401,
      code: 'invalid_client',
      rule: 'A federated token has not expired (AADSTS700024)',
      source: errors,
      message: () => 'AADSTS700024: Client assertion is not within its valid time range.',
    },
  },
  EntraError,
);

export const graph = defineRefusals('Microsoft Graph', {
  graphResourceNotFound: {
    status: 404,
    code: 'Request_ResourceNotFound',
    rule: 'A service principal that is read exists',
    source: 'https://learn.microsoft.com/graph/errors',
    message: (id: string) => `Resource '${id}' does not exist.`,
  },
});
