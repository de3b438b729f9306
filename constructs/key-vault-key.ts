import { ResourceGroupTemplateDeployment } from '@cdktf/provider-azurerm/lib/resource-group-template-deployment/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { Fn, type ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import { apiVersionOf } from '../azure/resource-types.ts';
import type { PrincipalType } from '../azure/vocabulary.ts';
import type { IKeyVault } from './key-vault.ts';

/** A principal that may wrap and unwrap with the key. */
export interface KeyUser {
  /** Object id of the managed identity, application, group or user. */
  readonly principalId: string;
  readonly principalType: PrincipalType;
}

export interface KeyVaultKeyProps {
  readonly name: string;
  readonly vault: IKeyVault;
  /** `RSA-HSM` needs a premium vault. */
  readonly type: 'RSA' | 'RSA-HSM';
  /** Bits: 2048, 3072 or 4096. */
  readonly size: number;
  /** ISO 8601 duration after which Key Vault creates a new version, at least P7D. */
  readonly rotateAfter: string;
  /** ISO 8601 duration after which a version expires, at least P28D and longer than `rotateAfter`. */
  readonly expireAfter: string;
  /**
   * ISO 8601 duration before expiry at which Key Vault raises a `KeyNearExpiry` event.
   * @default P30D - a month to find out why the rotation failed
   */
  readonly notifyBefore?: string;
  /**
   * Users of the key, by a label that names the role assignment in this stack.
   * @default - no role assignments
   */
  readonly users?: Readonly<Record<string, KeyUser>>;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
  /** @default - only after the vault */
  readonly after?: readonly ITerraformDependable[];
}

/** Wrap, unwrap and read the public part, and nothing else (no encrypt, sign, update or backup as in Crypto User). */
const WRAP_AND_UNWRAP = 'Key Vault Crypto Service Encryption User';

/**
 * A key with a rotation policy, created through Azure Resource Manager.
 *
 * The vault is closed to the internet. `azurerm_key_vault_key` connects to the vault itself, so it gets 403 outside the
 * network, and it plans to reset `expiration_date` after each rotation. Resource Manager creates keys without a
 * connection to the vault, and the record of a deployment does not change if the key rotates. This construct returns
 * only the versionless id, because an id with a version is outdated after the first rotation.
 *
 * The operator must know the limits of Resource Manager:
 * - It creates only the first version. A changed type, size or rotation policy appears in the plan as a changed
 *   template and is **not** applied to an existing key: use `az keyvault key rotation-policy update`, or give the key a
 *   new name.
 *   https://learn.microsoft.com/rest/api/keyvault/keys/create-if-not-exist
 * - It cannot delete keys. The provider needs `template_deployment { delete_nested_items_during_deletion = false }`;
 *   otherwise destroying fails. With it, only the record of the deployment is deleted, and the key stays in the vault.
 * - A resource group keeps 800 deployment records and deletes the oldest. Terraform plans a deleted one as a new
 *   deployment, which finds the key and changes nothing.
 *   https://learn.microsoft.com/azure/azure-resource-manager/templates/deployment-history-deletions
 */
export class KeyVaultKey extends Construct {
  /** `https://<vault>.vault.azure.net/keys/<name>`, without a version. */
  readonly versionlessId: string;
  /** Azure resource id, the scope of roles on this key alone. */
  readonly resourceId: string;
  /** The deployment and the role assignments, as dependencies of later resources. */
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: KeyVaultKeyProps) {
    super(scope, id);
    const deployment = new ResourceGroupTemplateDeployment(this, 'Default', {
      name: derivedNames.keyDeployment(props.name),
      resourceGroupName: props.vault.resourceGroupName,
      deploymentMode: 'Incremental',
      templateContent: JSON.stringify(keyTemplate(props)),
      ...(props.tags ? { tags: props.tags } : {}),
      dependsOn: [props.vault.resource, ...(props.after ?? [])],
    });
    // Not from the deployment's outputs: they are unknown in a plan that changes a tag of the template.
    this.versionlessId = `${Fn.trimsuffix(props.vault.uri, '/')}/keys/${props.name}`;
    this.resourceId = `${props.vault.id}/keys/${props.name}`;
    this.resources = [
      deployment,
      ...Object.entries(props.users ?? {}).map(
        ([label, user]) =>
          new RoleAssignment(this, label, {
            scope: this.resourceId,
            roleDefinitionName: WRAP_AND_UNWRAP,
            principalId: user.principalId,
            principalType: user.principalType,
            description: `Wrap and unwrap data keys with ${props.name}`,
            dependsOn: [deployment],
          }),
      ),
    ];
  }
}

/** The provider stores a template with sorted keys. The same order here keeps plans free of apparent changes. */
function keyTemplate(props: KeyVaultKeyProps) {
  return {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    parameters: {
      // `utcNow()` is allowed only as the default of a parameter. The text of the template stays the same every day.
      createdAt: { defaultValue: '[utcNow()]', type: 'string' },
    },
    resources: [
      {
        apiVersion: apiVersionOf('Microsoft.KeyVault/vaults/keys'),
        name: `${props.vault.name}/${props.name}`,
        properties: {
          attributes: {
            enabled: true,
            // A rotation policy sets the expiry of the versions that it creates, not of the first one.
            exp: `[dateTimeToEpoch(dateTimeAdd(parameters('createdAt'), '${props.expireAfter}'))]`,
          },
          keyOps: ['wrapKey', 'unwrapKey'],
          keySize: props.size,
          kty: props.type,
          rotationPolicy: {
            attributes: { expiryTime: props.expireAfter },
            lifetimeActions: [
              { action: { type: 'rotate' }, trigger: { timeAfterCreate: props.rotateAfter } },
              { action: { type: 'notify' }, trigger: { timeBeforeExpiry: props.notifyBefore ?? 'P30D' } },
            ],
          },
        },
        ...(props.tags ? { tags: sorted(props.tags) } : {}),
        type: 'Microsoft.KeyVault/vaults/keys',
      },
    ],
  };
}

function sorted(tags: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)));
}
