/**
 * Entra ID: tokens for applications and managed identities, and service principals of Microsoft Graph.
 *
 * The token endpoint is https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
import type { JsonObject } from '../../../core/json.ts';
import { entra, graph as graphRefusals } from '../refusals/entra.ts';
import type { Azure } from './context.ts';
import { withAssertion } from './federation.ts';

const login = { host: 'login.microsoftonline.com' };
const graph = { host: 'graph.microsoft.com' };

export function registerEntra(azure: Azure): void {
  const { router, directory, tenantId } = azure;
  router.on(
    'POST',
    '/{tenant}/oauth2/v2.0/token',
    async ({ request, parameters }) => {
      const form = new URLSearchParams(request.body.toString('utf8'));
      const scope = (form.get('scope') ?? '').split(' ')[0] ?? '';
      if (parameters['tenant'] !== tenantId) throw entra.tenantNotFound(parameters['tenant'] ?? '');
      const clientId = form.get('client_id') ?? '';
      const assertion = form.get('client_assertion');
      const principal =
        assertion === null
          ? directory.withSecret(clientId, form.get('client_secret') ?? '')
          : withAssertion(azure, clientId, assertion);
      return {
        status: 200,
        body: {
          token_type: 'Bearer',
          expires_in: directory.options.tokenLifetime,
          ext_expires_in: directory.options.tokenLifetime,
          access_token: await directory.issue(scope.replace(/\/\.default$/, ''), principal),
        },
      };
    },
    login,
  );

  // @azure/identity reads this before its first token.
  router.on(
    'GET',
    '/common/discovery/instance',
    () => ({
      status: 200,
      body: {
        tenant_discovery_endpoint: `https://login.microsoftonline.com/${tenantId}/v2.0/.well-known/openid-configuration`,
        'api-version': '1.1',
        metadata: [
          {
            preferred_network: 'login.microsoftonline.com',
            preferred_cache: 'login.windows.net',
            aliases: [
              'login.microsoftonline.com',
              'login.windows.net',
              'login.microsoft.com',
              'sts.windows.net',
            ],
          },
        ],
      },
    }),
    login,
  );
  router.on(
    'GET',
    '/{tenant}/v2.0/.well-known/openid-configuration',
    () => ({
      status: 200,
      body: openIdConfiguration(tenantId),
    }),
    login,
  );

  router.on(
    'GET',
    '/v1.0/servicePrincipals/{objectId}',
    ({ parameters }) => {
      const principal = directory.find(parameters['objectId'] ?? '');
      if (principal?.kind !== 'ServicePrincipal')
        throw graphRefusals.graphResourceNotFound(parameters['objectId'] ?? '');
      return {
        status: 200,
        body: { id: principal.objectId, displayName: principal.displayName, appId: principal.appId ?? null },
      };
    },
    graph,
  );
}

function openIdConfiguration(tenantId: string): JsonObject {
  const base = `https://login.microsoftonline.com/${tenantId}`;
  return {
    token_endpoint: `${base}/oauth2/v2.0/token`,
    authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
    end_session_endpoint: `${base}/oauth2/v2.0/logout`,
    issuer: `${base}/v2.0`,
    jwks_uri: `${base}/discovery/v2.0/keys`,
  };
}
