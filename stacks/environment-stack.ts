import { DataAzurermClientConfig } from '@cdktf/provider-azurerm/lib/data-azurerm-client-config/index.js';
import { type TerraformElement, TerraformStack } from 'cdktf';
import type { Construct, Node } from 'constructs';
import type { Deployment } from '../database/deployment.ts';
import type { EnvironmentSettings } from '../environments/settings.ts';
import { Addresses } from './addresses.ts';
import { deploymentDocument } from './deployment.ts';
import { foundation } from './foundation.ts';
import { observability } from './observability.ts';
import { outputs } from './outputs.ts';
import { leavePolicyTags } from './policy-tags.ts';
import { postDeploy } from './post-deploy.ts';
import { protect, protectionOf } from './protection.ts';
import { type Parts, safeguards } from './safeguards.ts';
import { servers } from './servers.ts';
import { configureTerraform } from './terraform.ts';
import { keyVault } from './vault.ts';

/** One environment, complete: `cdktf deploy <name>` builds it and leaves its database migrated and verified. */
export class EnvironmentStack extends TerraformStack {
  // Declared, not initialised: cdktf asks for addresses while its own constructor still runs.
  private declare addresses: Addresses | undefined;

  constructor(scope: Construct, settings: EnvironmentSettings) {
    super(scope, settings.name);
    configureTerraform(this, settings);
    const client = new DataAzurermClientConfig(this, 'client', {});
    const tenantId = settings.server.authentication.tenantId ?? client.tenantId;

    const base = foundation(this, settings);
    const pair = servers(this, settings, base, tenantId);
    const vault = keyVault(this, settings, base, tenantId);
    const parts = {
      base,
      servers: pair,
      vault,
      observability: observability(this, settings, base, pair, vault),
    };
    const everything = safeguards(this, settings, parts);

    const deployment = deployed(settings, parts, client.subscriptionId);
    postDeploy(this, deployment, pair, everything);
    outputs(this, deployment, parts);
    leavePolicyTags(this, settings.policyTags);
    protect(this, protectionOf(settings));
  }

  /**
   * cdktf resolves a whole stack once more here, to find references to other stacks and a missing backend. This
   * stack refers to no other (docs/decisions.md, 1) and always has a backend, so that would only double the work.
   */
  override prepareStack(): void {}

  protected override allocateLogicalId(element: TerraformElement | Node): string {
    this.addresses ??= new Addresses();
    return this.addresses.of(element);
  }
}

function deployed(
  settings: EnvironmentSettings,
  { base, servers: { primary, replica, virtualEndpoint }, vault, observability }: Parts,
  subscriptionId: string,
): Deployment {
  return deploymentDocument(settings, {
    subscriptionId,
    primary: { id: primary.id, host: primary.host },
    ...(replica && { replica: { id: replica.id, host: replica.host } }),
    ...(virtualEndpoint && {
      endpoints: { writer: virtualEndpoint.writerHost, reader: virtualEndpoint.readerHost },
    }),
    keyVaultUri: vault.vault.uri,
    fieldEncryptionKeyId: vault.keyId,
    surroundings: {
      workspaceId: observability.workspace.id,
      actionGroupId: observability.actionGroupId,
      alertGroup: base.primary.resourceGroup.name,
      metricAlerts: [...observability.metricAlerts],
      activityAlerts: [...observability.activityAlerts],
      ...(vault.created && { vaultId: vault.vault.id }),
      keyId: vault.keyResourceId,
    },
  });
}
