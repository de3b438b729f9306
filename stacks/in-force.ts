/**
 * Warnings of a plan about settings that differ from what is in force and that Terraform ignores (constructs/server.ts).
 * Without them, an edit of such a setting would plan nothing and say nothing.
 *
 * https://developer.hashicorp.com/terraform/language/checks
 */
import type { TerraformStack } from 'cdktf';
import type { IFlexibleServer } from '../constructs/server.ts';
import type { ResolvedEnvironment, ResolvedServer } from '../environments/resolved.ts';
import type { Servers } from './servers.ts';

interface Assertion {
  readonly condition: string;
  readonly error_message: string;
}

export function warnOfIgnoredSettings(
  stack: TerraformStack,
  { servers }: ResolvedEnvironment,
  { primary, replica }: Servers,
): void {
  // After a switchover the backups belong to the other server, and geo-redundancy stays with the one that was created so.
  const backups = servers.replica !== undefined && servers.primary.acceptsWrites;
  assertions(stack, 'server', [
    ...inForce(primary, servers.primary),
    ...(backups ? geoRedundancy(primary, servers.primary) : []),
  ]);
  if (replica && servers.replica) assertions(stack, 'replica', inForce(replica, servers.replica));
}

function assertions(stack: TerraformStack, name: string, all: readonly Assertion[]): void {
  if (all.length > 0) stack.addOverride(`check.${name}_as_set`, { assert: all });
}

function inForce({ address, name }: IFlexibleServer, { zones, storage }: ResolvedServer): Assertion[] {
  const found: Assertion[] = [];
  if (zones?.length)
    found.push({
      condition: `\${contains(${JSON.stringify(zones)}, ${address}.zone)}`,
      error_message: `${name} is in zone \${${address}.zone}, and the settings have ${zones.join(' and ')}. Terraform leaves the server there: a server changes its zone only by a failover to its standby. Set the zone that it has, or see docs/journeys.md.`,
    });
  if (storage.autoGrow && !storage.resize)
    found.push({
      condition: `\${${address}.storage_mb >= ${storage.sizeGb * 1024}}`,
      error_message: `The disk of ${name} has \${${address}.storage_mb / 1024} GB, and the settings have ${storage.sizeGb}. With autoGrow, Terraform leaves its size to Azure: deploy once with storage.resize: true.`,
    });
  return found;
}

function geoRedundancy({ address, name }: IFlexibleServer, { backup }: ResolvedServer): Assertion[] {
  if (!backup) return [];
  const where = backup.geoRedundant ? 'in its own region only' : 'in the paired region too';
  return [
    {
      condition: `\${${address}.geo_redundant_backup_enabled == ${backup.geoRedundant}}`,
      error_message: `${name} keeps its backups ${where}, and the settings have geoRedundant: ${backup.geoRedundant}. Azure fixes this at creation, and Terraform leaves it: set the value that is in force, or move to another server (docs/journeys.md).`,
    },
  ];
}
