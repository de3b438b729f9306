/** What a stack tells Terraform itself: versions, where its state is kept, how the provider behaves. */
import { AzurermProvider } from '@cdktf/provider-azurerm/lib/provider/index.js';
import { AzurermBackend, LocalBackend, type TerraformStack } from 'cdktf';
import type { EnvironmentSettings } from '../environments/settings.ts';

/** Write-only arguments came with it, ephemeral variables one version earlier. */
const writeOnlyArguments = '>= 1.11.0';

export function configureTerraform(
  stack: TerraformStack,
  { state, server }: Pick<EnvironmentSettings, 'state' | 'server'>,
): void {
  // Only where something needs it: checkov 3.3 stops at this attribute and would scan nothing of the stack.
  if (server.authentication.passwordLogin) {
    stack.addOverride('terraform.required_version', writeOnlyArguments);
  }
  if (state.backend === 'azurerm') {
    new AzurermBackend(stack, {
      resourceGroupName: state.resourceGroup,
      storageAccountName: state.storageAccount,
      containerName: state.container,
      key: state.key,
      // No account key: whoever may read the state is decided by a role.
      useAzureadAuth: true,
    });
  } else {
    // Beside the project, not in the output folder, which may be deleted at any time. Relative, because cdktf's
    // default is an absolute path of the machine that synthesized.
    new LocalBackend(stack, { path: `../../../${stack.node.id}.tfstate` });
  }
  configureProvider(stack);
}

function configureProvider(stack: TerraformStack): void {
  new AzurermProvider(stack, 'azurerm', {
    // Registering needs a right over the whole subscription, which a deployment has no other use for: it is done
    // once, when the subscription is prepared (`llama-db bootstrap`).
    resourceProviderRegistrations: 'none',
    storageUseAzuread: true,
    features: [
      {
        // One restart for all static parameters, by the post-deploy step, instead of one for each (#22257).
        postgresqlFlexibleServer: [{ restartServerOnConfigurationValueChange: false }],
        // The vault has purge protection, so purging could only fail; a vault that was deleted by mistake is
        // recovered with its keys instead of being refused for its name.
        keyVault: [
          {
            purgeSoftDeleteOnDestroy: false,
            purgeSoftDeletedKeysOnDestroy: false,
            purgeSoftDeletedSecretsOnDestroy: false,
            recoverSoftDeletedKeyVaults: true,
            recoverSoftDeletedKeys: true,
          },
        ],
        logAnalyticsWorkspace: [{ permanentlyDeleteOnDestroy: false }],
        resourceGroup: [{ preventDeletionIfContainsResources: true }],
        // Resource Manager makes the vault's key but cannot delete one (constructs/key-vault-key.ts).
        templateDeployment: [{ deleteNestedItemsDuringDeletion: false }],
      },
    ],
  });
}
