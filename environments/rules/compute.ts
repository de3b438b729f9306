/** The server itself: region, size, disk, version, zones, standby, maintenance, backup. */
import { azurermVersion, isAtLeast } from '../../azure/provider.ts';
import { region, regions, regionsSource } from '../../azure/regions.ts';
import { parseSku, skus, skusSource } from '../../azure/skus.ts';
import { storageSizesGb, storageSource, storageTiers } from '../../azure/storage.ts';
import { majorVersion, supportedVersions, versionsSource } from '../../azure/versions.ts';
import { availabilityZones, backupRetentionDays, isAvailabilityZone } from '../../azure/vocabulary.ts';
import { nearest } from '../../core/nearest.ts';
import type { Candidate } from '../resolved.ts';
import { check, defineRules, didYouMean, type Rule, urls } from '../rule.ts';

/** Azure Backup takes disks up to this size, in GB. Above it, the first weekly run fails. */
const longTermBackupLimitGb = 1024;

/** Latest start of a maintenance window. Days count from Sunday, hours are UTC. */
const latestStart = { dayOfWeek: 6, startHour: 23, startMinute: 59 } as const;

/** A rule about what the Burstable tier lacks. Azure refuses it only once the server exists. */
function burstableWithout(
  what: string,
  source: string,
  given: (candidate: Candidate) => Readonly<Record<string, unknown>>,
): Rule {
  return {
    rule: `a server of the Burstable tier has no ${what}`,
    source,
    remedy: 'Choose a GP_ or MO_ size, or leave the setting out.',
    check: (candidate) => {
      const { sku } = candidate.servers.primary;
      if (sku?.tier !== 'Burstable') return [];
      const rule = `a server of the Burstable tier (${sku.name}) has no ${what}`;
      return Object.entries(given(candidate)).flatMap(([field, value]) =>
        check(value === undefined, field, value, { rule }),
      );
    },
  };
}

/** The zones of the settings, each with the region it is in. */
function zones({ server, replica, location }: Candidate) {
  return [
    ['server.zone', server.zone, location],
    ['server.highAvailability.standbyZone', server.highAvailability?.standbyZone, location],
    ['replica.zone', replica?.zone, replica?.location ?? location],
  ] as const;
}

function disks({ server, replica }: Candidate) {
  return [
    { field: 'server.storage', disk: server.storage },
    ...(replica?.storage ? [{ field: 'replica.storage', disk: replica.storage }] : []),
  ];
}

export const computeRules = defineRules({
  'compute/known-region': {
    rule: 'a region is written by its programmatic name, like eastus',
    source: regionsSource,
    check: ({ location, recoveryLocation, replica }) => {
      const named = [
        ['location', location],
        ['recoveryLocation', recoveryLocation],
        ['replica.location', replica?.location],
      ] as const;
      return named.flatMap(([field, name]) => {
        if (name === undefined || region(name)) return [];
        const guess = nearest(
          name.toLowerCase().replaceAll(' ', ''),
          regions.map((one) => one.name),
        );
        const remedy = didYouMean(guess, 'If Azure has the region, add it to azure/regions.ts.');
        return [{ field, value: name, remedy }];
      });
    },
  },

  'compute/sku-of-provider': {
    rule: `azurerm ${azurermVersion} accepts the size: confidential sizes (DC, EC) need azurerm 4.70.0, and v6 sizes 4.79.0`,
    source: `azure/provider.ts; ${skusSource}`,
    remedy: 'Raise azurermVersion in azure/provider.ts to a 4.x that has the size, and run all scenarios.',
    check: ({ server, replica }) =>
      Object.entries({ 'server.sku': server.sku, 'replica.sku': replica?.sku }).flatMap(([field, name]) => {
        const from = name === undefined ? undefined : parseSku(name)?.from;
        return check(from === undefined || isAtLeast(azurermVersion, from), field, name);
      }),
  },

  'compute/known-sku': {
    rule: 'a SKU is the prefix of a tier and a size that azurerm knows, like B_Standard_B2s, GP_Standard_D4s_v3 or MO_Standard_E4ds_v5',
    source: skusSource,
    check: ({ server, replica }) => {
      const named = [
        ['server.sku', server.sku],
        ['replica.sku', replica?.sku],
      ] as const;
      return named.flatMap(([field, name]) => {
        if (name === undefined || parseSku(name)) return [];
        const guess = nearest(
          name,
          skus.map((one) => one.name),
        );
        return [{ field, value: name, ...(guess && { remedy: didYouMean(guess, '') }) }];
      });
    },
  },

  'compute/burstable-without-standby': burstableWithout(
    'high availability',
    urls.highAvailability,
    ({ server }) => ({ 'server.highAvailability': server.highAvailability }),
  ),

  'compute/burstable-without-replica': burstableWithout('read replica', urls.replicas, ({ replica }) => ({
    replica: replica?.name,
  })),

  'compute/burstable-without-pooler': burstableWithout(
    'built-in PgBouncer',
    urls.pgBouncer,
    ({ server }) => ({ 'server.pgBouncer': server.pgBouncer }),
  ),

  'compute/burstable-without-query-store': burstableWithout('query store', urls.queryStore, ({ server }) => ({
    'server.queryStore': server.queryStore || undefined,
  })),

  'compute/disk-size': {
    rule: `a disk has one of the sizes that Azure sells, in GB: ${storageSizesGb.join(', ')}`,
    source: storageSource,
    check: (candidate) =>
      disks(candidate).flatMap(({ field, disk }) =>
        check(storageTiers(disk.sizeGb) !== undefined, `${field}.sizeGb`, disk.sizeGb),
      ),
  },

  'compute/disk-tier': {
    rule: 'a disk has one of the performance tiers of its size',
    source: storageSource,
    check: (candidate) =>
      disks(candidate).flatMap(({ field, disk: { sizeGb, tier } }) => {
        const tiers = storageTiers(sizeGb);
        if (!tiers || tier === undefined) return [];
        return check(tiers.includes(tier), `${field}.tier`, tier, {
          rule: `a disk of ${sizeGb} GB has one of the tiers ${tiers.join(', ')}`,
        });
      }),
  },

  'compute/supported-version': {
    rule: `the major version is one of ${supportedVersions.join(', ')}`,
    source: versionsSource,
    check: ({ server: { version } }) => {
      const known = majorVersion(version);
      if (!known) return check(supportedVersions.includes(version), 'server.version', version);
      const supported = `this project supports ${supportedVersions.join(', ')}`;
      return check(known.supported, 'server.version', version, {
        rule: known.lacks
          ? `PostgreSQL ${version} (end of life on ${known.endOfLife}) lacks ${known.lacks}; ${supported}`
          : `PostgreSQL ${version} reaches its end of life on ${known.endOfLife}; ${supported}`,
        remedy: 'Upgrade: docs/scope.md describes how data moves from an existing server.',
      });
    },
  },

  'compute/zone-name': {
    rule: `an availability zone is one of ${availabilityZones.join(', ')}`,
    source: urls.highAvailability,
    check: (candidate) =>
      zones(candidate).flatMap(([field, zone]) =>
        check(zone === undefined || isAvailabilityZone(zone), field, zone),
      ),
  },

  'compute/region-has-zones': {
    rule: 'a zone is set only in a region that has availability zones',
    source: regionsSource,
    remedy: 'Leave the zone out: Azure places the server. Or choose a region that has zones.',
    check: (candidate) =>
      zones(candidate).flatMap(([field, zone, location]) => {
        if (zone === undefined || !isAvailabilityZone(zone)) return [];
        return check(region(location)?.hasZones !== false, field, zone, {
          rule: `${location} has no availability zones`,
        });
      }),
  },

  'compute/zone-redundancy': {
    rule: 'a zone-redundant standby needs a region that has availability zones',
    source: urls.highAvailability,
    remedy:
      'Choose SameZone, whose standby survives the loss of the machine and not of the site, or another region.',
    check: ({ location, server: { highAvailability } }) => {
      const mode = highAvailability?.mode;
      const holds = mode !== 'ZoneRedundant' || region(location)?.hasZones !== false;
      return check(holds, 'server.highAvailability.mode', mode, {
        rule: `a zone-redundant standby needs a region that has availability zones, and ${location} has none`,
      });
    },
  },

  'compute/standby-beside-zone': {
    rule: "the zone of a standby is set only beside the server's own: Azure might choose the same one for the server",
    source: 'environments/settings.ts',
    remedy: 'Set server.zone as well, or leave both to Azure.',
    check: ({ server: { zone, highAvailability } }) => {
      const standbyZone = highAvailability?.standbyZone;
      const holds = standbyZone === undefined || zone !== undefined;
      return check(holds, 'server.highAvailability.standbyZone', standbyZone);
    },
  },

  'compute/standby-in-another-zone': {
    rule: 'a zone-redundant standby is in another zone than the server',
    source: urls.highAvailability,
    check: ({ server: { zone, highAvailability } }) => {
      if (highAvailability?.mode !== 'ZoneRedundant' || zone === undefined) return [];
      const { standbyZone } = highAvailability;
      return check(standbyZone !== zone, 'server.highAvailability.standbyZone', standbyZone, {
        rule: `a zone-redundant standby is in another zone than the server (${zone})`,
      });
    },
  },

  'compute/standby-in-the-same-zone': {
    rule: "a standby of mode SameZone is in the server's zone",
    source: urls.highAvailability,
    remedy: 'Leave standbyZone out, or choose ZoneRedundant.',
    check: ({ server: { zone, highAvailability } }) => {
      if (highAvailability?.mode !== 'SameZone' || zone === undefined) return [];
      const { standbyZone } = highAvailability;
      const holds = standbyZone === undefined || standbyZone === zone;
      return check(holds, 'server.highAvailability.standbyZone', standbyZone, {
        rule: `a standby of mode SameZone is in the server's zone (${zone})`,
      });
    },
  },

  'compute/maintenance-window': {
    rule: 'the maintenance window starts on a day from 0, Sunday, to 6, at an hour from 0 to 23, UTC, and a minute from 0 to 59',
    source:
      'AZR-000433; https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-maintenance',
    check: ({ server: { maintenanceWindow } }) =>
      (['dayOfWeek', 'startHour', 'startMinute'] as const).flatMap((part) => {
        const value = maintenanceWindow[part];
        return check(value >= 0 && value <= latestStart[part], `server.maintenanceWindow.${part}`, value);
      }),
  },

  'compute/backup-retention': {
    rule: `Azure keeps backups for ${backupRetentionDays.minimum} to ${backupRetentionDays.maximum} days`,
    source: urls.backup,
    check: ({ server: { backup } }) => {
      const { minimum, maximum } = backupRetentionDays;
      const days = backup.retentionDays;
      return check(days >= minimum && days <= maximum, 'server.backup.retentionDays', days, {
        ...(days > maximum && { remedy: 'Keep older backups with longTermBackup.' }),
      });
    },
  },

  'compute/geo-backup-pair': {
    rule: 'geo-redundant backup needs a region that has a paired region',
    source: regionsSource,
    check: ({ location, server: { backup } }) => {
      const home = region(location);
      const holds = !backup.geoRedundant || !home || home.pair !== undefined;
      return check(holds, 'server.backup.geoRedundant', backup.geoRedundant, {
        rule: `geo-redundant backup goes to the paired region, and ${location} has none`,
      });
    },
  },

  'compute/long-term-backup-size': {
    rule: `long-term backup takes servers of up to ${longTermBackupLimitGb} GB`,
    source: 'https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex-support-matrix',
    check: ({ longTermBackup, server: { storage } }) =>
      check(
        !longTermBackup || storage.sizeGb <= longTermBackupLimitGb,
        'longTermBackup',
        longTermBackup?.vaultName,
        {
          rule: `long-term backup takes servers of up to ${longTermBackupLimitGb} GB, and this one has ${storage.sizeGb}`,
        },
      ),
  },
});
