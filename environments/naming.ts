/** The names of an environment's resources, from those of the project and of the environment. */
import { limited, limitedWord } from '../azure/resource-names.ts';

/**
 * Names with the longest environment's name (32 characters) fit into the 63 of a virtual endpoint, because a rule
 * limits both names of the project (`names/project`). Names with a lower limit end in a digest if they are too long.
 */
export function naming(project: { readonly name: string; readonly organization: string }) {
  const { name, organization } = project;
  return (environment: string) => ({
    environment,
    tags: { Environment: environment, Project: name, ManagedBy: 'cdktf' },
    resourceGroup: `${organization}-${environment}-rg`,
    recoveryResourceGroup: `${organization}-${environment}-dr-rg`,
    virtualNetwork: `${organization}-vnet-${environment}`,
    recoveryVirtualNetwork: `${organization}-vnet-${environment}-dr`,
    endpointSubnet: `${name}-endpoints`,
    server: `${name}-${environment}`,
    replica: `${name}-replica-${environment}`,
    virtualEndpoint: `${name}-endpoint-${environment}`,
    database: name.replaceAll('-', '_'),
    /** @param what the purpose of an Entra group or identity, like `application`. PostgreSQL has a role of this name */
    principal: (what: string) => limited(63, `${name}-${what}-${environment}`),
    keyVault: limited(24, `${organization}-kv-${environment}`),
    logAnalytics: limited(63, `${organization}-logs-${environment}`),
    actionGroup: `${name}-alerts-${environment}`,
    /** The sender of text messages: `llama-prod`. Two may be equal. */
    actionGroupShortName: `${name.split('-')[0]?.slice(0, 7)}-${environment.slice(0, 4)}`,
    backupVault: limited(50, `${name}-backup-${environment}`),
    budget: limited(63, `${name}-budget-${environment}`),
    state: {
      resourceGroup: `${organization}-${environment}-state-rg`,
      storageAccount: limitedWord(24, `${organization}state${environment}`),
      container: limited(63, `${name}-${environment}`),
      key: `${name}.tfstate`,
    },
  });
}
