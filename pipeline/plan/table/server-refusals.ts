/** Values of a server that Azure refuses only in the apply. Those of a size, a pair and a zone are in their own rows. */
import { region } from '../../../azure/regions.ts';
import { storageTiers } from '../../../azure/storage.ts';
import { majorVersion } from '../../../azure/versions.ts';
import { serverType } from '../context.ts';
import { type About, type Judgement, type Source, sources } from './row.ts';

export interface RefusedValue extends Judgement {
  readonly source: Source;
}

/** Judges a server that is created, replaced or changed, by the values that the plan knows. */
export function refusedValues({ change, server, context }: About): RefusedValue[] {
  if (!server || change.type !== serverType || !['create', 'update', 'replace'].includes(change.action))
    return [];
  const isSet = (...paths: readonly string[]) =>
    change.action !== 'update' || change.changed.some(({ path }) => paths.includes(path.split('.')[0] ?? ''));
  const text = (...path: (string | number)[]) => server.text('after', ...path);
  const found: RefusedValue[] = [];
  const refuse = (says: string, source: Source) => found.push({ impact: 'refused-by-azure', says, source });

  const place = region((text('location') ?? '').toLowerCase().replaceAll(' ', ''));
  const [mode, zone, other] = [
    server.standby('after'),
    text('zone'),
    text('high_availability', 0, 'standby_availability_zone'),
  ];
  if (isSet('zone', 'high_availability') && place) {
    if (!place.hasZones && (zone ?? other) !== undefined)
      refuse(`${place.name} has no availability zones, so no zone can be named`, sources.highAvailability);
    if (!place.hasZones && mode === 'ZoneRedundant')
      refuse(
        `${place.name} has no availability zones for a standby in another one`,
        sources.highAvailability,
      );
    if (mode === 'ZoneRedundant' && zone !== undefined && zone === other)
      refuse(`a zone-redundant standby is in another zone than ${zone}`, sources.highAvailability);
    if (mode === 'SameZone' && zone !== undefined && other !== undefined && zone !== other)
      refuse(`a standby in the same zone is in ${zone}, not in ${other}`, sources.highAvailability);
  }

  const [size, tier] = [server.storageGb('after'), text('storage_tier')];
  if (isSet('storage_mb', 'storage_tier') && size !== undefined && tier !== undefined) {
    const tiers = storageTiers(size);
    if (tiers && !tiers.includes(tier))
      refuse(`a disk of ${size} GiB has the tiers ${tiers.join(', ')}, and not ${tier}`, sources.tier);
  }

  const version = text('version');
  if (isSet('version') && version !== undefined && !majorVersion(Number(version)))
    refuse(`PostgreSQL ${version} is not offered`, sources.upgrade);

  const authentication = change.after['authentication'];
  if (isSet('authentication') && isAllOff(authentication))
    refuse('a server accepts passwords or Entra logins, or both', sources.entra);

  if (isSet('private_dns_zone_id') && change.action === 'update' && server.standby('before') !== undefined)
    refuse(
      'the DNS zone does not change while high availability is on: turn it off first',
      sources.privateNetwork,
    );

  const isReset = isSet('administrator_password', 'administrator_password_wo_version');
  if (isReset && change.action === 'update' && context.isReplica(server))
    refuse("a replica has its primary's passwords, and its own is not reset", sources.replicas);

  if (isSet('geo_redundant_backup_enabled') && server.isOn('after', 'geo_redundant_backup_enabled') && place)
    if (place.pair === undefined)
      refuse(`${place.name} has no paired region for backups in another one`, sources.backup);
  return found;
}

function isAllOff(authentication: About['change']['before'][string] | undefined): boolean {
  const block = Array.isArray(authentication) ? authentication[0] : undefined;
  return (
    typeof block === 'object' &&
    block !== null &&
    !Array.isArray(block) &&
    block['active_directory_auth_enabled'] === false &&
    block['password_auth_enabled'] === false
  );
}
