import { ResourceGroupTemplateDeployment } from '@cdktf/provider-azurerm/lib/resource-group-template-deployment/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { Fn, type ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { apiVersionOf } from '../azure/resource-types.ts';
import type { PrincipalType } from '../azure/vocabulary.ts';
import type { IKeyVault } from './key-vault.ts';

/** Somebody who may wrap and unwrap with the key. */
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
  /** ISO 8601 duration after which Key Vault makes a new version; at least P7D. */
  readonly rotateAfter: string;
  /** ISO 8601 duration after which a version expires; at least P28D and longer than `rotateAfter`. */
  readonly expireAfter: string;
  /**
   * ISO 8601 duration before expiry at which Key Vault raises a `KeyNearExpiry` event.
   * @default P30D - a month to find out why rotation did not happen
   */
  readonly notifyBefore?: string;
  /**
   * Who may use the key, by a label that names the role assignment in this stack.
   * @default - nobody is given a role here
   */
  readonly users?: Readonly<Record<string, KeyUser>>;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
  /** @default - only after the vault */
  readonly after?: readonly ITerraformDependable[];
}

/** Wrap, unwrap and read the public part; nothing else (no encrypt, sign, update or backup as in Crypto User). */
const WRAP_AND_UNWRAP = 'Key Vault Crypto Service Encryption User';

/**
 * A key with a rotation policy, created through Azure Resource Manager.
 *
 * The vault is closed to the internet, and `azurerm_key_vault_key` talks to the vault itself: it gets 403 from
 * wherever Terraform runs, and plans `expiration_date` back after each rotation. Resource Manager creates keys
 * without entering the vault's network, and a deployment's record does not change when the key rotates, so there is
 * nothing to ignore here. Only the versionless id is handed out: an id with a version would be stale after the
 * first rotation.
 *
 * What Resource Manager does not do, and the operator therefore must know:
 * - It only ever creates the first version. A changed type, size or rotation policy shows in the plan as a changed
 *   template and is **not** applied to a key that exists: use `az keyvault key rotation-policy update`, or give the
 *   key a new name.
 *   https://learn.microsoft.com/rest/api/keyvault/keys/create-if-not-exist
 * - It cannot delete keys. The provider must be told
 *   `template_deployment { delete_nested_items_during_deletion = false }`, else destroying fails; then only the
 *   record of the deployment goes, and the key stays in the vault.
 * - A resource group keeps 800 deployment records and drops the oldest. A dropped one is planned as a new deployment,
 *   which finds the key and changes nothing.
 *   https://learn.microsoft.com/azure/azure-resource-manager/templates/deployment-history-deletions
 */
export class KeyVaultKey extends Construct {
  /** `https://<vault>.vault.azure.net/keys/<name>`, without a version. */
  readonly versionlessId: string;
  /** Azure resource id, the scope of roles on this key alone. */
  readonly resourceId: string;
  /** The deployment and the role assignments, for whoever must come after. */
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: KeyVaultKeyProps) {
    super(scope, id);
    const deployment = new ResourceGroupTemplateDeployment(this, 'Default', {
      name: `key-vault-key-${props.name}`,
      resourceGroupName: props.vault.resourceGroupName,
      deploymentMode: 'Incremental',
      templateContent: JSON.stringify(keyTemplate(props)),
      ...(props.tags ? { tags: props.tags } : {}),
      dependsOn: [props.vault.resource, ...(props.after ?? [])],
    });
    // Not from the deployment's outputs: a plan that changes a tag of the template would not know them.
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

/** The provider stores a template with its keys sorted; written the same way here, a plan shows only real changes. */
function keyTemplate(props: KeyVaultKeyProps) {
  return {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    parameters: {
      // `utcNow()` is only allowed as a parameter's default, and the template stays the same text every day.
      createdAt: { defaultValue: '[utcNow()]', type: 'string' },
    },
    resources: [
      {
        apiVersion: apiVersionOf('Microsoft.KeyVault/vaults/keys'),
        name: `${props.vault.name}/${props.name}`,
        properties: {
          attributes: {
            enabled: true,
            // A rotation policy sets the expiry of the versions it makes, not of the first one.
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
