import { DataAzurermClientConfig } from '@cdktf/provider-azurerm/lib/data-azurerm-client-config/index.js';
import { type TerraformElement, TerraformStack } from 'cdktf';
import type { Construct, Node } from 'constructs';
import { azurermVersion, majorOf } from '../azure/provider.ts';
import type { Deployment } from '../database/deployment.ts';
import type { ResolvedEnvironment } from '../environments/resolved.ts';
import { Addresses } from './addresses.ts';
import type { StackContext } from './context.ts';
import { deploymentDocument } from './deployment.ts';
import { foundation } from './foundation.ts';
import { warnOfIgnoredSettings } from './in-force.ts';
import { observability } from './observability.ts';
import { outputs } from './outputs.ts';
import { leavePolicyTags } from './policy-tags.ts';
import { postDeploy } from './post-deploy.ts';
import { postDeployJob } from './post-deploy-job.ts';
import { protect, protectionOf } from './protection.ts';
import { writtenForMajor } from './provider-major.ts';
import { type Parts, safeguards } from './safeguards.ts';
import { servers } from './servers.ts';
import { configureTerraform } from './terraform.ts';
import { transitions } from './transitions.ts';
import { keyVault } from './vault.ts';

/** One environment, complete: `cdktf deploy <name>` builds it and leaves its database migrated and verified. */
export class EnvironmentStack extends TerraformStack {
  // Declared, not initialised: cdktf asks for addresses while its own constructor still runs.
  private declare addresses: Addresses | undefined;

  constructor(scope: Construct, environment: ResolvedEnvironment) {
    super(scope, environment.name);
    configureTerraform(this, environment);
    const client = new DataAzurermClientConfig(this, 'client', {});
    const context: StackContext = {
      environment,
      foundation: foundation(this, environment),
      transitions: transitions(this, environment),
      tenantId: environment.authentication.tenantId ?? client.tenantId,
    };

    const pair = servers(this, context);
    const vault = keyVault(this, context);
    const parts = {
      servers: pair,
      vault,
      observability: observability(this, context, { servers: pair, vault }),
    };
    const { resources, weeklyBackupId } = safeguards(this, context, parts);
    const job = postDeployJob(this, context, parts.observability);

    const deployment = deployed(context, parts, {
      subscriptionId: client.subscriptionId,
      weeklyBackupId,
      ...(job && { postDeployJob: { id: job.id, environmentId: job.environmentId } }),
    });
    const everything = [...resources, ...(job?.resources ?? [])];
    postDeploy(this, { deployment, database: pair.database, after: everything });
    outputs(this, { deployment, parts });
    warnOfIgnoredSettings(this, environment, pair);
    leavePolicyTags(this, environment.policyTags);
    protect(this, protectionOf(environment));
  }

  /**
   * cdktf resolves the whole stack here to find references to other stacks and a missing backend. This stack refers to no
   * other (docs/decisions.md, 1) and always has a backend, so that would only double the work.
   */
  override prepareStack(): void {}

  override toTerraform() {
    return writtenForMajor(super.toTerraform(), majorOf(azurermVersion));
  }

  protected override allocateLogicalId(element: TerraformElement | Node): string {
    this.addresses ??= new Addresses();
    return this.addresses.of(element);
  }
}

interface Ids {
  readonly subscriptionId: string;
  readonly weeklyBackupId: string | undefined;
  readonly postDeployJob?: NonNullable<Deployment['postDeployJob']>;
}

function deployed(
  { environment, foundation }: StackContext,
  { servers: { primary, replica, virtualEndpoint }, vault, observability }: Parts,
  { subscriptionId, weeklyBackupId, postDeployJob }: Ids,
): Deployment {
  return deploymentDocument(environment, {
    subscriptionId,
    primary: { id: primary.id, host: primary.host },
    ...(replica && { replica: { id: replica.id, host: replica.host } }),
    ...(virtualEndpoint && {
      endpoints: { writer: virtualEndpoint.writerHost, reader: virtualEndpoint.readerHost },
    }),
    keyVaultUri: vault.vault.uri,
    fieldEncryptionKeyId: vault.keyId,
    ...(postDeployJob && { postDeployJob }),
    surroundings: {
      workspaceId: observability.workspace.id,
      actionGroupId: observability.actionGroupId,
      alertGroup: foundation.primary.resourceGroup.name,
      metricAlerts: [...observability.metricAlerts],
      activityAlerts: [...observability.activityAlerts],
      logAlerts: [...observability.logAlerts],
      ...(vault.created && { vaultId: vault.vault.id }),
      keyId: vault.keyResourceId,
      ...(weeklyBackupId !== undefined && { weeklyBackupId }),
    },
  });
}
