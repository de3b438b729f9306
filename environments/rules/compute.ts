/** The server itself: region, size, disk, version, zones, standby, maintenance, backup. */
import { region, regions, regionsSource } from '../../azure/regions.ts';
import { parseSku, skus, skusSource } from '../../azure/skus.ts';
import { storageSizesGb, storageSource, storageTiers } from '../../azure/storage.ts';
import { majorVersion, supportedVersions, versionsSource } from '../../azure/versions.ts';
import { availabilityZones, backupRetentionDays, isAvailabilityZone } from '../../azure/vocabulary.ts';
import { nearest } from '../../core/nearest.ts';
import type { EnvironmentSettings, ServerSettings } from '../settings.ts';
import { check, type Finding, finding, isProtected, type Rule, urls } from './rule.ts';

const knownRegions: Rule = (settings) => {
  const named = [
    ['location', settings.location],
    ['recoveryLocation', settings.recoveryLocation],
    ['replica.location', settings.replica?.location],
  ] as const;
  return named.flatMap(([field, name]) => {
    if (name === undefined || region(name)) return [];
    const guess = nearest(
      name.toLowerCase().replaceAll(' ', ''),
      regions.map((one) => one.name),
    );
    return [
      finding(field, name, {
        rule: 'a region is written by its programmatic name, like eastus',
        source: regionsSource,
        remedy: guess
          ? `Did you mean ${guess}?`
          : 'If Azure has it and this list has not, add it to azure/regions.ts.',
      }),
    ];
  });
};

function unknownSku(field: string, sku: string): Finding[] {
  if (parseSku(sku)) return [];
  const guess = nearest(
    sku,
    skus.map((one) => one.name),
  );
  return [
    finding(field, sku, {
      rule: 'a SKU is a tier’s prefix and a size that azurerm 4.55 knows: B_Standard_B2s, GP_Standard_D4s_v3, MO_Standard_E4ds_v5',
      source: skusSource,
      ...(guess ? { remedy: `The nearest is ${guess}.` } : {}),
    }),
  ];
}

const knownSku: Rule = ({ server, replica }) => [
  ...unknownSku('server.sku', server.sku),
  ...(replica?.sku === undefined ? [] : unknownSku('replica.sku', replica.sku)),
];

/** What the Burstable tier lacks; each is refused by Azure only once the server exists. */
const burstable: Rule = ({ server, replica }) => {
  if (parseSku(server.sku)?.tier !== 'Burstable') return [];
  const remedy = 'Take a GP_ or MO_ size, or leave it out.';
  const excluded: [string, unknown, string, string][] = [
    ['server.highAvailability', server.highAvailability, 'high availability', urls.highAvailability],
    ['replica', replica?.name, 'read replicas', urls.replicas],
    ['server.pgBouncer', server.pgBouncer, 'a built-in PgBouncer', urls.pgBouncer],
    ['server.queryStore', server.queryStore || undefined, 'a query store', urls.queryStore],
  ];
  return excluded.flatMap(([field, value, what, source]) =>
    check(value === undefined, field, value, {
      rule: `the Burstable tier (${server.sku}) has no ${what.replace(/^an? /, '')}`,
      source,
      remedy,
    }),
  );
};

export function storageFindings(field: string, storage: ServerSettings['storage']): Finding[] {
  const tiers = storageTiers(storage.sizeGb);
  if (!tiers) {
    return [
      finding(`${field}.sizeGb`, storage.sizeGb, {
        rule: `a disk has one of the sizes Azure sells, in GB: ${storageSizesGb.join(', ')}`,
        source: storageSource,
      }),
    ];
  }
  return [
    ...check(storage.tier === undefined || tiers.includes(storage.tier), `${field}.tier`, storage.tier, {
      rule: `a disk of ${storage.sizeGb} GB has one of the tiers ${tiers.join(', ')}`,
      source: storageSource,
    }),
  ];
}

const storage: Rule = ({ server, replica }) => [
  ...storageFindings('server.storage', server.storage),
  ...(replica?.storage ? storageFindings('replica.storage', replica.storage) : []),
];

const version: Rule = ({ server }) => {
  if (supportedVersions.includes(server.version)) return [];
  const known = majorVersion(server.version);
  const supported = supportedVersions.join(', ');
  if (!known) {
    return [
      finding('server.version', server.version, {
        rule: `the major version is one of ${supported}`,
        source: versionsSource,
      }),
    ];
  }
  return [
    finding('server.version', server.version, {
      rule:
        known.version < 15
          ? `PostgreSQL ${known.version} reached its end of life on ${known.endOfLife}; supported here are ${supported}`
          : `PostgreSQL ${known.version} (end of life ${known.endOfLife}) lacks GRANT … WITH INHERIT FALSE and roles with BYPASSRLS, which tenant isolation needs; supported here are ${supported}`,
      source: versionsSource,
      remedy: 'Upgrade: docs/scope.md says how data moves from an existing server.',
    }),
  ];
};

function zoneFindings(field: string, zone: string | undefined, location: string): Finding[] {
  if (zone === undefined) return [];
  const known = region(location);
  if (!isAvailabilityZone(zone)) {
    return [
      finding(field, zone, {
        rule: `an availability zone is one of ${availabilityZones.join(', ')}`,
        source: urls.highAvailability,
      }),
    ];
  }
  return [
    ...check(!known || known.hasZones, field, zone, {
      rule: `${location} has no availability zones`,
      source: regionsSource,
      remedy: 'Choose a region that has them.',
    }),
  ];
}

const zones: Rule = ({ server, replica, location }) => [
  ...zoneFindings('server.zone', server.zone, location),
  ...zoneFindings('server.highAvailability.standbyZone', server.highAvailability?.standbyZone, location),
  ...(replica ? zoneFindings('replica.zone', replica.zone, replica.location) : []),
];

const standby: Rule = ({ server }) => {
  const availability = server.highAvailability;
  if (!availability) return [];
  const { mode, standbyZone } = availability;
  if (mode === 'ZoneRedundant') {
    return check(standbyZone !== server.zone, 'server.highAvailability.standbyZone', standbyZone, {
      rule: `a zone-redundant standby is in another zone than the server (${server.zone})`,
      source: urls.highAvailability,
    });
  }
  return check(
    standbyZone === undefined || standbyZone === server.zone,
    'server.highAvailability.standbyZone',
    standbyZone,
    {
      rule: `a standby of mode SameZone is in the server’s own zone (${server.zone})`,
      source: urls.highAvailability,
      remedy: 'Leave standbyZone out, or choose ZoneRedundant.',
    },
  );
};

const maintenance: Rule = ({ server }) => {
  const window = server.maintenanceWindow;
  const parts = [
    ['dayOfWeek', window.dayOfWeek, 6, 'a day from 0, Sunday, to 6, Saturday'],
    ['startHour', window.startHour, 23, 'an hour from 0 to 23, UTC'],
    ['startMinute', window.startMinute, 59, 'a minute from 0 to 59'],
  ] as const;
  return parts.flatMap(([part, value, maximum, what]) =>
    check(value >= 0 && value <= maximum, `server.maintenanceWindow.${part}`, value, {
      rule: `the maintenance window starts at ${what}`,
      source:
        'AZR-000433; https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-maintenance',
    }),
  );
};

const backup: Rule = (settings) => {
  const { retentionDays, geoRedundant } = settings.server.backup;
  const home = region(settings.location);
  const { minimum, maximum } = backupRetentionDays;
  return [
    ...check(
      retentionDays >= minimum && retentionDays <= maximum,
      'server.backup.retentionDays',
      retentionDays,
      {
        rule: `backups are kept ${minimum} to ${maximum} days`,
        source: urls.backup,
        remedy:
          retentionDays > maximum
            ? 'Keep more with longTermBackup.'
            : `${minimum} is the least Azure offers.`,
      },
    ),
    ...check(!geoRedundant || !home || home.pair !== undefined, 'server.backup.geoRedundant', geoRedundant, {
      rule: `geo-redundant backup goes to the paired region, and ${settings.location} has none`,
      source: regionsSource,
    }),
  ];
};

/** Azure Backup stops at a disk of 1 TiB, and says so only when the first weekly run fails. */
const longTermBackup: Rule = ({ longTermBackup: long, server }) =>
  check(!long || server.storage.sizeGb <= 1024, 'longTermBackup', long?.vaultName, {
    rule: `long-term backup takes servers of up to 1024 GB, and this one has ${server.storage.sizeGb}`,
    source: 'https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex-support-matrix',
  });

const sharedState: Rule = (settings: EnvironmentSettings) =>
  check(
    settings.state.backend !== 'local' || !isProtected(settings),
    'state.backend',
    settings.state.backend,
    {
      rule: 'an environment that is protected (protection.deletionLock or protection.preventDestroy) keeps its state where others find it and nobody writes it twice at once',
      source: 'https://developer.hashicorp.com/terraform/language/backend/azurerm',
      remedy: 'Choose backend azurerm; `llama-db bootstrap` makes the container.',
    },
  );

export const computeRules: readonly Rule[] = [
  knownRegions,
  knownSku,
  burstable,
  storage,
  version,
  zones,
  standby,
  maintenance,
  backup,
  longTermBackup,
  sharedState,
];
