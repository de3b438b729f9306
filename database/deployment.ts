/**
 * What the post-deploy step is told about a deployment: attributes of the resources and the settings that
 * concern the database, nothing secret.
 *
 * Inside an apply it arrives as `LLAMA_DB_DEPLOYMENT` in the provisioner's environment (outputs cannot be read
 * there); afterwards the same document is the Terraform output `deployment`.
 */
import { z } from 'zod';

const server = z.object({
  /** Azure resource id; absent for a target given by URL. */
  id: z.string().optional(),
  /** Host name that its certificate must carry. */
  host: z.string(),
});

export const deploymentSchema = z.object({
  environment: z.string(),
  subscriptionId: z.string().optional(),
  primary: server,
  replica: server.optional(),
  /** Which of the two takes writes. */
  writer: z.enum(['primary', 'replica']),
  /** Host names that follow a switchover. */
  endpoints: z.object({ writer: z.string(), reader: z.string() }).optional(),
  database: z.string(),
  /** PostgreSQL major version. */
  version: z.number().int(),
  /** Entra administrator (a group's name), or the administrator login where passwords are allowed. */
  administrator: z.string(),
  authentication: z.enum(['entra', 'password']),
  extensions: z.array(z.string()),
  /** Server parameters as set, values as Azure spells them. */
  parameters: z.record(z.string(), z.string()),
  logins: z.array(
    z.object({
      name: z.string(),
      objectId: z.string(),
      type: z.enum(['Group', 'ServicePrincipal', 'User']),
      role: z.enum(['application_role', 'admin_role', 'analytics_role', 'maintenance_role']),
    }),
  ),
  pools: z.array(z.object({ name: z.string(), maxSize: z.number().int(), instances: z.number().int() })),
  partitions: z.object({
    monthsAhead: z.number().int(),
    retentionDays: z.record(z.string(), z.number().int()),
  }),
  keyVaultUri: z.string().optional(),
  /** Versionless id of the key that wraps the tenants' data keys. */
  fieldEncryptionKeyId: z.string().optional(),
});

export type Deployment = z.output<typeof deploymentSchema>;
