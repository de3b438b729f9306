/**
 * Workload identity federation: a workflow proves itself to Entra with a token of its own platform.
 * https://learn.microsoft.com/entra/workload-id/workload-identity-federation
 */
import { isObject, type JsonObject, objectAt, parseJson, textsAt } from '../../../core/json.ts';
import { entra } from '../refusals/entra.ts';
import type { Azure } from './context.ts';
import { type Principal, unsignedToken } from './directory.ts';

const identityType = 'Microsoft.ManagedIdentity/userAssignedIdentities';
const github = 'https://token.actions.githubusercontent.com';
const audience = 'api://AzureADTokenExchange';

/** A token as a platform issues it to a workflow with that subject, valid for five minutes by default. */
export function workflowToken(subject: string, seconds = 300, issuer = github): string {
  const now = Math.floor(Date.now() / 1000);
  return unsignedToken({ iss: issuer, aud: audience, sub: subject, iat: now, nbf: now, exp: now + seconds });
}

/**
 * The principal that an application's federated credential lets a token sign in as. Signatures are not checked: both
 * sides are this machine.
 *
 * @throws ArmError with the code and the words of Entra
 */
export function withAssertion(azure: Azure, clientId: string, assertion: string): Principal {
  const principal = azure.directory.application(clientId);
  if (!principal) throw entra.applicationNotFound(clientId, azure.tenantId);
  const claims = claimsOf(assertion);
  if (Number(claims['exp']) * 1000 < Date.now()) throw entra.assertionExpired();
  const identity = azure.store
    .ofType(identityType)
    .find(({ body }) => objectAt(body, 'properties')['clientId'] === clientId);
  const credentials = identity
    ? azure.store.children(identity.id, `${identityType}/federatedIdentityCredentials`)
    : [];
  const matching = credentials.some(({ body }) => {
    const { issuer: from, subject } = objectAt(body, 'properties');
    return (
      from === claims['iss'] &&
      subject === claims['sub'] &&
      textsAt(body, 'properties', 'audiences').some((one) => one === claims['aud'])
    );
  });
  if (!matching) throw entra.noFederatedCredential(String(claims['sub']));
  return principal;
}

function claimsOf(token: string): JsonObject {
  const claims = parseJson(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
  return isObject(claims) ? claims : {};
}
