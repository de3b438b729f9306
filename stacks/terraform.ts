/** Terraform's own configuration: its version, the backend of the state, and the provider's features. */
import { AzurermProvider } from '@cdktf/provider-azurerm/lib/provider/index.js';
import { AzurermBackend, LocalBackend, type TerraformStack } from 'cdktf';
import { azurermVersion } from '../azure/provider.ts';
import type { ResolvedEnvironment } from '../environments/resolved.ts';

/** The first version with write-only arguments. Ephemeral variables exist from 1.10 on. */
const writeOnlyArguments = '>= 1.11.0';

export function configureTerraform(
  stack: TerraformStack,
  { state, authentication }: Pick<ResolvedEnvironment, 'state' | 'authentication'>,
): void {
  // Only if needed: checkov 3.3 stops at this attribute and scans nothing of the stack.
  if (authentication.passwordLogin) {
    stack.addOverride('terraform.required_version', writeOnlyArguments);
  }
  if (state.backend === 'azurerm') {
    new AzurermBackend(stack, {
      resourceGroupName: state.resourceGroup,
      storageAccountName: state.storageAccount,
      containerName: state.container,
      key: state.key,
      // No account key: a role decides who may read the state.
      useAzureadAuth: true,
    });
  } else {
    // Beside the project, because the output folder may be deleted at any time. Relative, because cdktf's default is
    // an absolute path of the machine that synthesized.
    new LocalBackend(stack, { path: `../../../${stack.node.id}.tfstate` });
  }
  configureProvider(stack);
  stack.addOverride('terraform.required_providers.azurerm.version', azurermVersion);
}

function configureProvider(stack: TerraformStack): void {
  new AzurermProvider(stack, 'azurerm', {
    // Registering needs a right over the whole subscription, which a deployment does not need otherwise.
    // `llama-db bootstrap` registers the providers once.
    resourceProviderRegistrations: 'none',
    storageUseAzuread: true,
    features: [
      {
        // The post-deploy step restarts once for all static parameters, instead of once for each (#22257).
        postgresqlFlexibleServer: [{ restartServerOnConfigurationValueChange: false }],
        // The vault has purge protection, so purging could only fail. A vault that was deleted by mistake is
        // recovered with its keys; otherwise Azure refuses its name.
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
        // Resource Manager creates the vault's key but cannot delete it (constructs/key-vault-key.ts).
        templateDeployment: [{ deleteNestedItemsDuringDeletion: false }],
      },
    ],
  });
}
