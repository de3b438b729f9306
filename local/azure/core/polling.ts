/**
 * Addresses at which a client asks about an operation. Each resource provider has its own, and an identity needs the
 * right to read them: https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations.
 */
import { resourceGroupOf } from '../../../azure/resource-id.ts';

interface Addresses {
  /** Of `Azure-AsyncOperation`, without the operation's id. */
  readonly status: string;
  /** Of `Location`. */
  readonly result: string;
}

/** By the type of the resource in lower case, or the beginning of it. */
const addresses: readonly (readonly [type: string, (subscription: string, target: string) => Addresses])[] = [
  [
    'microsoft.resources/resourcegroups',
    (subscription) => both(`${subscription}/operationresults`, `${subscription}/operationresults`),
  ],
  ['microsoft.resources/deployments', (_subscription, target) => both(`${target}/operationStatuses`)],
  [
    'microsoft.network/privatednszones',
    (_subscription, target) => {
      const network = `${resourceGroupOf(target)}/providers/Microsoft.Network`;
      return both(`${network}/privateDnsOperationStatuses`, `${network}/privateDnsOperationResults`);
    },
  ],
  ['microsoft.network', regional('Microsoft.Network', 'operations')],
  ['microsoft.operationalinsights', regional('Microsoft.OperationalInsights', 'operationStatuses')],
  ['microsoft.app', regional('Microsoft.App', 'operationStatuses')],
  ['microsoft.dataprotection', regional('Microsoft.DataProtection', 'operationStatus')],
];

function both(status: string, result = status): Addresses {
  return { status, result };
}

function regional(namespace: string, status: string) {
  return (subscription: string): Addresses => {
    const region = `${subscription}/providers/${namespace}/locations/global`;
    return both(`${region}/${status}`, `${region}/operationResults`);
  };
}

export function pollingAddresses(subscriptionId: string, type: string, target: string): Addresses {
  const known = addresses.find(([prefix]) => type.toLowerCase().startsWith(prefix));
  const namespace = type.slice(0, type.indexOf('/'));
  const make = known?.[1] ?? regional(namespace, 'azureAsyncOperation');
  return make(`/subscriptions/${subscriptionId}`, target);
}

const region = '/subscriptions/{s}/providers/{n}/locations/{l}';
const group = '/subscriptions/{s}/resourceGroups/{g}';

/** Routes of all statuses and of all results, each without the operation's id. */
export const pollingRoutes = {
  status: [
    ...['azureAsyncOperation', 'operations', 'operationStatuses', 'operationStatus'].map(
      (kind) => `${region}/${kind}`,
    ),
    '/subscriptions/{s}/operationresults',
    '/{scope*}/providers/Microsoft.Resources/deployments/{d}/operationStatuses',
    `${group}/providers/Microsoft.Network/privateDnsOperationStatuses`,
  ],
  result: [`${region}/operationResults`, `${group}/providers/Microsoft.Network/privateDnsOperationResults`],
} as const;

const pattern =
  /\/(?:azureAsyncOperation|operations|operationStatus(?:es)?|operationResults|privateDnsOperation(?:Statuses|Results))\/([^/?]+)(?:\?.*)?$/i;

/** Id of the operation that an address is about; undefined for any other address. */
export function operationIdIn(address: string | undefined): string | undefined {
  return address === undefined ? undefined : pattern.exec(address)?.[1];
}
