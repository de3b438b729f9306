import { DataAzurermKeyVault } from '@cdktf/provider-azurerm/lib/data-azurerm-key-vault/index.js';
import { KeyVault as KeyVaultResource } from '@cdktf/provider-azurerm/lib/key-vault/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { expression } from './expression.ts';

/** A vault that other constructs refer to, created here or adopted. */
export interface IKeyVault {
  /** Azure resource id. */
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  /** `https://<name>.vault.azure.net/` */
  readonly uri: string;
  /** Dependency for resources that come after the vault, like an endpoint or a lock. */
  readonly resource: ITerraformDependable;
}

export interface KeyVaultProps {
  /** 3-24 letters, digits and hyphens; unique in all of Azure. */
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** Entra tenant whose identities can have roles on the vault. */
  readonly tenantId: string;
  /** `premium` keeps keys in a hardware module (`RSA-HSM`). */
  readonly sku: 'standard' | 'premium';
  /**
   * Days during which a deleted vault or key can be recovered, 7 to 90. Cannot change once the vault exists.
   * @default 90 - Azure's maximum
   */
  readonly softDeleteRetentionDays?: number;
  /**
   * Let the services on Azure's trusted list in through the closed network. A Flexible Server that is encrypted with a
   * key of this vault needs it. Field encryption does not: the application uses the private endpoint.
   * @default false - nothing bypasses the private endpoint
   */
  readonly trustedServices?: boolean;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * A Key Vault that only a private endpoint reaches: role-based access, purge protection, public network off.
 *
 * Neither a plan nor an apply needs the vault's data plane. With public access, the provider would poll
 * `https://<name>.vault.azure.net` after it creates the vault and read its certificate contacts on every refresh.
 * Without public access it does neither.
 *
 * Sources: PSRule AZR-000124, AZR-000125, AZR-000355, AZR-000388; checkov CKV_AZURE_42, 109, 110, 111, 189.
 */
export class KeyVault extends Construct implements IKeyVault {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  readonly uri: string;
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: KeyVaultProps) {
    super(scope, id);
    const vault = new KeyVaultResource(this, 'Default', {
      name: props.name,
      resourceGroupName: props.resourceGroupName,
      location: props.location,
      tenantId: props.tenantId,
      skuName: props.sku,
      rbacAuthorizationEnabled: true,
      purgeProtectionEnabled: true,
      softDeleteRetentionDays: props.softDeleteRetentionDays ?? 90,
      publicNetworkAccessEnabled: false,
      // Azure reads `bypass` only while public access is off. `Deny` remains if somebody turns it on.
      networkAcls: { defaultAction: 'Deny', bypass: props.trustedServices ? 'AzureServices' : 'None' },
      ...(props.tags ? { tags: props.tags } : {}),
    });
    this.id = vault.id;
    this.name = props.name;
    this.resourceGroupName = props.resourceGroupName;
    this.uri = vault.vaultUri;
    this.resource = vault;
  }
}

export interface AdoptedKeyVaultProps {
  readonly name: string;
  readonly resourceGroupName: string;
}

/**
 * A vault that exists already and is only referred to. The plan fails unless the vault has what {@link KeyVault} has
 * and the rest of the stack relies on: role-based access, purge protection, a closed network.
 */
export class AdoptedKeyVault extends Construct implements IKeyVault {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  readonly uri: string;
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: AdoptedKeyVaultProps) {
    super(scope, id);
    const refuse = (what: string, command: string) =>
      `Key Vault ${props.name} in ${props.resourceGroupName} cannot be adopted: ${what}. ` +
      `Run \`az keyvault update --name ${props.name} ${command}\`, or let this stack create a vault of its own.`;
    const vault = new DataAzurermKeyVault(this, 'Default', {
      name: props.name,
      resourceGroupName: props.resourceGroupName,
      lifecycle: {
        postcondition: [
          {
            condition: expression('self.rbac_authorization_enabled'),
            errorMessage: refuse(
              'it uses access policies, so role assignments on it have no effect (PSRule AZR-000388)',
              '--enable-rbac-authorization true',
            ),
          },
          {
            condition: expression('self.purge_protection_enabled'),
            errorMessage: refuse(
              'its keys can be purged for good, and with them everything they encrypt (PSRule AZR-000125)',
              '--enable-purge-protection true',
            ),
          },
          {
            condition: expression(
              '!self.public_network_access_enabled || try(self.network_acls[0].default_action, "Allow") == "Deny"',
            ),
            errorMessage: refuse(
              'it is open to the internet (PSRule AZR-000355)',
              '--public-network-access Disabled',
            ),
          },
        ],
      },
    });
    this.id = vault.id;
    this.name = props.name;
    this.resourceGroupName = props.resourceGroupName;
    this.uri = vault.vaultUri;
    this.resource = vault;
  }
}
