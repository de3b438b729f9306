/** Access to Azure Resource Manager, and the ids of its resources. */
import type { PostgreSQLManagementFlexibleServerClientOptionalParams } from '@azure/arm-postgresql-flexible';
import type { TokenCredential } from '@azure/identity';

export interface AzureAccess {
  readonly credential: TokenCredential;
  readonly options?: Pick<
    PostgreSQLManagementFlexibleServerClientOptionalParams,
    'httpClient' | 'retryOptions'
  >;
}

const resourceId = /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/([^/]+\/[^/]+)\/([^/]+)$/i;

export interface ResourceId {
  readonly subscription: string;
  readonly group: string;
  readonly type: string;
  readonly name: string;
}

/** @returns undefined for any other text than the id of a resource directly in a resource group */
export function parseResourceId(id: string | undefined): ResourceId | undefined {
  const [, subscription, group, type, name] = resourceId.exec(id ?? '') ?? [];
  return subscription && group && type && name ? { subscription, group, type, name } : undefined;
}

/** The identity that is signed in here: environment, workload or managed identity, Azure CLI. Loaded on demand, because loading is slow. */
export async function signedIn(): Promise<AzureAccess> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return { credential: new DefaultAzureCredential() };
}

/** Code and name only, because the message of an identity error can quote the request. */
export function azureReason(error: unknown): string {
  if (!(error instanceof Error)) return 'it gave no reason';
  const code: unknown = Reflect.get(error, 'code');
  const status: unknown = Reflect.get(error, 'statusCode');
  return [typeof code === 'string' ? code : error.name, typeof status === 'number' ? `(HTTP ${status})` : '']
    .join(' ')
    .trim();
}
