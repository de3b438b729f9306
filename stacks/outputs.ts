import { TerraformOutput } from 'cdktf';
import type { Construct } from 'constructs';
import type { Deployment } from '../database/deployment.ts';
import type { Parts } from './safeguards.ts';

/** The stack's outputs, for applications and for commands after a deployment. None is secret. */
export function outputs(
  scope: Construct,
  { deployment, parts }: { readonly deployment: Deployment; readonly parts: Parts },
): void {
  const { servers, vault, observability } = parts;
  const { primary, replica, virtualEndpoint, database } = servers;
  const values: Record<string, unknown> = {
    deployment,
    database_name: database.name,
    server_id: primary.id,
    server_host: primary.host,
    server_identity_principal_id: primary.identityPrincipalId,
    ...(replica && {
      replica_id: replica.id,
      replica_host: replica.host,
      replica_identity_principal_id: replica.identityPrincipalId,
    }),
    ...(virtualEndpoint && {
      writer_host: virtualEndpoint.writerHost,
      reader_host: virtualEndpoint.readerHost,
    }),
    key_vault_uri: vault.vault.uri,
    field_encryption_key_id: vault.keyId,
    log_analytics_workspace_id: observability.workspace.id,
  };
  for (const [name, value] of Object.entries(values)) {
    new TerraformOutput(scope, name, { value, staticId: true });
  }
}
