/** The Key Vault and the key that wraps the tenants' data keys. */
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import { AdoptedKeyVault, type IKeyVault, KeyVault } from '../constructs/key-vault.ts';
import { KeyVaultKey } from '../constructs/key-vault-key.ts';
import { PrivateEndpoint } from '../constructs/private-endpoint.ts';
import type { StackContext } from './context.ts';

export interface Vault {
  readonly vault: IKeyVault;
  /** False for an adopted vault, which its owners watch and lock. */
  readonly created: boolean;
  /** Versionless. */
  readonly keyId: string;
  /** Azure resource id of the key. */
  readonly keyResourceId: string;
  /** Everything that is created on or under the vault. */
  readonly resources: readonly ITerraformDependable[];
}

export function keyVault(scope: Construct, { environment, foundation, tenantId }: StackContext): Vault {
  const { keyVault: given, tags, location, servers, database } = environment;
  const { primary, keyVaultZone } = foundation;
  const { name } = given;
  const resourceGroupName = given.resourceGroup ?? primary.resourceGroup.name;
  const vault = given.existing
    ? new AdoptedKeyVault(scope, 'key_vault', { name, resourceGroupName })
    : new KeyVault(scope, 'key_vault', {
        name,
        resourceGroupName,
        location,
        tenantId,
        sku: given.sku,
        softDeleteRetentionDays: given.softDeleteRetentionDays,
        trustedServices: servers.primary.customerManagedKey !== undefined,
        tags,
      });
  // An adopted vault needs one too: its owners' endpoints are in other networks.
  const endpoint = new PrivateEndpoint(scope, 'key_vault_endpoint', {
    name: derivedNames.endpoint(name),
    resourceGroupName: primary.resourceGroup.name,
    location: primary.network.location,
    subnet: primary.endpoints,
    targetId: vault.id,
    subresource: 'vault',
    zone: keyVaultZone,
    tags,
  });
  const key = new KeyVaultKey(scope, 'field_encryption_key', {
    ...given.fieldEncryptionKey,
    vault,
    users: Object.fromEntries(
      database.logins
        .filter(({ role }) => role === 'application_role')
        .map(({ objectId, type }) => [objectId, { principalId: objectId, principalType: type }]),
    ),
    tags,
  });
  return {
    vault,
    created: !given.existing,
    keyId: key.versionlessId,
    keyResourceId: key.resourceId,
    resources: [endpoint.last, ...key.resources],
  };
}
