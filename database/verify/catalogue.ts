import { type Check, groups } from './check.ts';
import { auditChecks } from './checks/audit.ts';
import { azureAccessChecks } from './checks/azure-access.ts';
import { azureAvailabilityChecks } from './checks/azure-availability.ts';
import { azureBackupChecks } from './checks/azure-backups.ts';
import { azurePairChecks } from './checks/azure-pair.ts';
import { azureParameterChecks } from './checks/azure-parameters.ts';
import { azureServerChecks } from './checks/azure-servers.ts';
import { azureSurroundingChecks } from './checks/azure-surroundings.ts';
import { connectionChecks } from './checks/connections.ts';
import { dataKeyChecks } from './checks/data-keys.ts';
import { driftChecks } from './checks/drift.ts';
import { encryptedColumnChecks } from './checks/encrypted-columns.ts';
import { encryptionChecks } from './checks/encryption.ts';
import { extensionChecks } from './checks/extensions.ts';
import { indexChecks } from './checks/indexes.ts';
import { isolationHygieneChecks } from './checks/isolation-hygiene.ts';
import { privilegeChecks } from './checks/isolation-privileges.ts';
import { reachChecks } from './checks/isolation-reach.ts';
import { sideChannelChecks } from './checks/isolation-side-channels.ts';
import { tableChecks } from './checks/isolation-tables.ts';
import { ledgerChecks } from './checks/ledger.ts';
import { liveChecks } from './checks/live.ts';
import { loggingChecks } from './checks/logging.ts';
import { partitionChecks } from './checks/partitions.ts';
import { replicationChecks } from './checks/replication.ts';
import { roleChecks } from './checks/roles.ts';
import { scheduleChecks } from './checks/schedules.ts';
import { schemaChecks } from './checks/schema.ts';
import { schemaTypeChecks } from './checks/schema-types.ts';
import { sealingChecks } from './checks/sealing.ts';
import { settingChecks } from './checks/settings.ts';
import { upkeepChecks } from './checks/settings-upkeep.ts';

/** Every check, in the order in which reports name them. */
export const catalogue: readonly Check[] = [
  ...tableChecks,
  ...reachChecks,
  ...privilegeChecks,
  ...isolationHygieneChecks,
  ...sideChannelChecks,
  ...liveChecks,
  ...partitionChecks,
  ...indexChecks,
  ...auditChecks,
  ...sealingChecks,
  ...encryptionChecks,
  ...dataKeyChecks,
  ...encryptedColumnChecks,
  ...roleChecks,
  ...extensionChecks,
  ...settingChecks,
  ...upkeepChecks,
  ...loggingChecks,
  ...connectionChecks,
  ...scheduleChecks,
  ...ledgerChecks,
  ...schemaChecks,
  ...schemaTypeChecks,
  ...driftChecks,
  ...replicationChecks,
  ...azureAvailabilityChecks,
  ...azureBackupChecks,
  ...azureServerChecks,
  ...azurePairChecks,
  ...azureAccessChecks,
  ...azureParameterChecks,
  ...azureSurroundingChecks,
].sort((a, b) => groupOrder(a) - groupOrder(b) || a.id.localeCompare(b.id));

function groupOrder({ group }: Check): number {
  return groups.indexOf(group);
}
