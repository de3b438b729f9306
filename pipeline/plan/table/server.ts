/** Rows about the server itself. Replacement is read from the plan; these are the changes in place. */
import { storageTierRank } from '../../../azure/storage.ts';
import { numberAt, textsAt } from '../../../core/json.ts';
import { serverType as type } from '../context.ts';
import { autoGrowOrder, diskOrder, sizeOrder } from './pair.ts';
import { type About, fixed, type Judgement, type Row, sources, times, toggled } from './row.ts';

const gibibyte = 4096;

const cis = (id: string) => `CIS Azure Database Services 2.0, ${id}`;

/** A change of the compute size. https://github.com/hashicorp/terraform-provider-azurerm/issues/27612 for the tier. */
function size({ server, context, attribute }: About): Judgement[] {
  if (!server) return [];
  const [was, is] = [server.sku('before'), server.sku('after')];
  const found: Judgement[] = [];
  const small = /_B(?:1ms|2s)$/;
  const isSmall = [attribute.before, attribute.after].some(
    (name) => typeof name === 'string' && small.test(name),
  );
  const paired = context.partnersOf(server).length > 0 || context.isReplica(server);
  const replica = context.isReplica(server);
  const slow = replica || isSmall;
  const details = [
    'UNLOGGED tables lose their rows and max_connections stays',
    ...(server.standby('before') !== undefined ? ['the standby is scaled first, without a failover'] : []),
    ...(replica ? ['a replica is scaled without near-zero downtime'] : []),
    ...(isSmall && !replica ? ['the smallest sizes are scaled without near-zero downtime'] : []),
  ];
  found.push({
    impact: 'restart',
    says: `the server restarts with another size: ${details.join('; ')}`,
    seconds: slow ? times.scaling : times.nearZero,
  });
  if (server.isBurstable('after') && !server.isBurstable('before')) {
    if (server.standby('after') !== undefined)
      found.push({ impact: 'refused-by-azure', says: 'a Burstable server has no high availability' });
    if (paired)
      found.push({ impact: 'refused-by-azure', says: 'Burstable is supported for no server of a pair' });
    found.push({
      impact: 'online',
      says: 'the built-in PgBouncer is not available on Burstable, and port 6432 closes',
    });
  }
  if (
    server.isBurstable('before') &&
    server.standby('before') === undefined &&
    server.standby('after') !== undefined
  )
    found.push({
      impact: 'refused-by-azure',
      says: 'Azure does not change the tier and turn on high availability in one request',
    });
  if (attribute.isUnknown && (server.standby('after') !== undefined || paired))
    found.push({
      impact: 'refused-by-azure',
      says: 'a server of a pair or with high availability cannot be Burstable',
      when: 'the size is Burstable',
    });
  found.push(...sizeOrder(server, context));
  const [fromTier, toTier] = [attribute.before, attribute.after].map((name) => String(name).split('_')[0]);
  if (was && is && fromTier !== toTier)
    found.push({
      impact: 'cost',
      says: `compute from ${was.vCores} vCores of tier ${fromTier} to ${is.vCores} of tier ${toTier}, whose price per vCore differs`,
    });
  else if (was && is && was.vCores !== is.vCores)
    found.push({
      impact: 'cost',
      says: `compute from ${was.vCores} to ${is.vCores} vCores`,
      factor: { of: 'compute', by: is.vCores / was.vCores },
    });
  return found;
}

function disk({ server, context, attribute }: About): Judgement[] {
  const [was, is] = [server?.storageGb('before'), server?.storageGb('after')];
  if (!server || attribute.isUnknown || was === undefined || is === undefined)
    return [
      {
        impact: 'restart',
        says: 'the disk may cross 4,096 GiB, which restarts the server',
        seconds: times.scaling,
      },
    ];
  const crosses = was < gibibyte && is >= gibibyte ? true : was <= gibibyte && is > gibibyte;
  const growth: Judgement = crosses
    ? {
        impact: 'restart',
        says: `the disk grows from ${was} to ${is} GiB and crosses 4,096 GiB: the server restarts and has no disk cache afterwards`,
        seconds: times.scaling,
      }
    : { impact: 'online', says: `the disk grows from ${was} to ${is} GiB, and never shrinks again` };
  return [
    growth,
    ...diskOrder(server, context),
    { impact: 'cost', says: `storage from ${was} to ${is} GiB`, factor: { of: 'storage', by: is / was } },
  ];
}

function tier({ attribute: { before, after, isUnknown } }: About): Judgement[] {
  const lower: Judgement[] = [
    {
      impact: 'refused-by-azure',
      says: 'a lower tier is refused within 12 hours of the last change of the tier (PerformanceTierCannotBeDowngradedBefore12HoursError)',
      when: 'the tier was raised less than 12 hours before',
    },
    { impact: 'online', says: 'the disk gets a lower performance tier' },
  ];
  const raised = storageTierRank(String(after)) > storageTierRank(String(before));
  if (isUnknown || !raised) return lower;
  return [
    { impact: 'online', says: `the disk gets tier ${after}, which stays for at least 12 hours` },
    { impact: 'cost', says: `storage tier from ${before} to ${after}` },
  ];
}

function upgrade({ server, context, attribute }: About): Judgement[] {
  const found: Judgement[] = [
    {
      impact: 'long-outage',
      says: `the server stops for pg_upgrade to ${attribute.isUnknown ? 'another version' : attribute.after}: high availability is removed and made again, logical slots are dropped, 10-20 % of the disk must be free, statistics are empty afterwards, and only a restore to a new server leads back`,
    },
  ];
  if (server && context.replicasOf(server).length > 0)
    found.unshift({
      impact: 'refused-by-azure',
      says: 'Azure upgrades no server that has a replica: remove it first',
    });
  return found;
}

function standby({ server, context, attribute }: About): Judgement[] {
  if (!server) return [];
  const isAdded = server.standby('after') !== undefined || attribute.isUnknown;
  if (!isAdded)
    return [
      {
        impact: 'recovery-weakened',
        says: 'no standby takes over after a failure of the server or its zone',
        controls: ['PSRule AZR-000434', 'APRL ca87914f'],
      },
      { impact: 'cost', says: 'no second server', factor: { of: 'compute', by: 0.5 } },
    ];
  const found: Judgement[] = [
    {
      impact: 'online',
      says: 'a standby is built while clients work, and each commit waits for it afterwards',
    },
    { impact: 'cost', says: 'a second server of the same size', factor: { of: 'compute', by: 2 } },
  ];
  if (server.isBurstable('after'))
    found.unshift({ impact: 'refused-by-azure', says: 'a Burstable server has no high availability' });
  if (context.isReplica(server))
    found.unshift({ impact: 'refused-by-azure', says: 'a replica has no high availability' });
  return found;
}

function isSwap({ server }: About): boolean {
  if (!server) return false;
  const [zone, other] = [
    server.text('before', 'zone'),
    server.text('before', 'high_availability', 0, 'standby_availability_zone'),
  ];
  return (
    zone !== undefined &&
    other !== undefined &&
    zone === server.text('after', 'high_availability', 0, 'standby_availability_zone') &&
    other === server.text('after', 'zone')
  );
}

function zone(about: About): Judgement {
  if (isSwap(about))
    return {
      impact: 'failover',
      says: 'the zones are exchanged by a planned failover: writes wait until the name leads to the new primary (DNS, 30 s)',
    };
  return {
    impact: 'refused-by-azure',
    says: 'zone changes only in exchange with the zone of the standby: the provider refuses it in the apply',
  };
}

function standbyZone(about: About): Judgement[] {
  if (isSwap(about)) return [];
  if (about.server?.standby('after') === 'ZoneRedundant' && about.attribute.before !== undefined)
    return [
      {
        impact: 'refused-by-azure',
        says: 'the zone of an existing standby does not change alone: the provider refuses it in the apply',
      },
    ];
  return [{ impact: 'nothing', says: 'the zone of the standby is sent only when it is created' }];
}

function retention({ change, attribute }: About): Judgement {
  const [was, is] = [
    numberAt(change.before, 'backup_retention_days'),
    numberAt(change.after, 'backup_retention_days'),
  ];
  if (attribute.isUnknown || was === undefined || is === undefined || is < was)
    return {
      impact: 'recovery-weakened',
      says: `backups older than ${is ?? 'the new number of'} days are removed, and no restore goes further back`,
    };
  return { impact: 'online', says: `a restore goes back ${is} days, once they have passed` };
}

function identities({ change, attribute }: About): Judgement {
  const [was, is] = [
    textsAt(change.before, 'identity', 0, 'identity_ids'),
    textsAt(change.after, 'identity', 0, 'identity_ids'),
  ];
  if (!attribute.isUnknown && was.every((id) => is.includes(id)))
    return { impact: 'online', says: 'the server gets another identity' };
  return {
    impact: 'unknown',
    says: 'an identity leaves the server; if its key is read with it, the server becomes inaccessible',
  };
}

const row = (id: string, on: readonly string[], source: Row['source'], judge: Row['judge']): Row => ({
  id: `server/${id}`,
  type,
  on,
  source,
  judge,
});

export const serverRows: readonly Row[] = [
  row('size', ['sku_name'], sources.scaling, size),
  row('disk', ['storage_mb'], sources.storage, disk),
  row('storage-tier', ['storage_tier'], sources.tier, tier),
  row('auto-grow', ['auto_grow_enabled'], sources.storage, ({ server, context, attribute }) => [
    attribute.after === true
      ? { impact: 'online', says: 'the disk grows by itself, and never shrinks again' }
      : {
          impact: 'online',
          says: 'the disk no longer grows by itself; a disk that is 95 % full makes the server read-only',
        },
    ...(server ? autoGrowOrder(server, context) : []),
  ]),
  row('version', ['version'], sources.upgrade, upgrade),
  row('standby', ['high_availability'], sources.highAvailability, standby),
  row(
    'standby-mode',
    ['high_availability.mode'],
    sources.standbyMode,
    fixed(
      'refused-by-azure',
      'Azure does not switch the mode of high availability directly: turn it off, then on',
    ),
  ),
  row('zone', ['zone'], sources.provider, zone),
  row('standby-zone', ['high_availability.standby_availability_zone'], sources.provider, standbyZone),
  row('backup-retention', ['backup_retention_days'], sources.backup, retention),
  row(
    'maintenance-window',
    [
      'maintenance_window',
      'maintenance_window.day_of_week',
      'maintenance_window.start_hour',
      'maintenance_window.start_minute',
    ],
    sources.maintenance,
    fixed('nothing', 'the next maintenance but one follows the new window; an announced one stays'),
  ),
  row(
    'entra-login',
    ['authentication.active_directory_auth_enabled'],
    sources.entra,
    toggled(
      { impact: 'restart', says: 'the server restarts to load the extension for Entra logins' },
      {
        impact: 'security-weakened',
        says: 'Entra logins end, and only passwords remain',
        controls: [cis('6.2'), 'MCSB IM-1'],
      },
      'off',
    ),
  ),
  row(
    'password-login',
    ['authentication.password_auth_enabled'],
    sources.entra,
    toggled(
      {
        impact: 'security-weakened',
        says: 'logins with a password are accepted',
        controls: [cis('6.2'), 'MCSB IM-1', 'PSRule AZR-000390'],
      },
      {
        impact: 'unknown',
        says: 'every password login fails at its next connection; Azure does not say whether the server restarts',
      },
      'on',
    ),
  ),
  row('authentication', ['authentication', 'authentication.tenant_id'], sources.entra, ({ attribute }) =>
    attribute.before === undefined || attribute.before === ''
      ? []
      : {
          impact: 'unknown',
          says: 'logins of another tenant are accepted, and those of the old one are not',
        },
  ),
  row(
    'administrator-login',
    ['administrator_login'],
    sources.provider,
    fixed(
      'unknown',
      'the provider writes the whole server again to set the first administrator; Azure does not document the downtime',
    ),
  ),
  row(
    'administrator-password',
    ['administrator_password', 'administrator_password_wo_version'],
    sources.provider,
    fixed('online', 'the password is set; open sessions stay, and new ones need the new password'),
  ),
  row(
    'encryption-key',
    ['customer_managed_key.key_vault_key_id', 'customer_managed_key.geo_backup_key_vault_key_id'],
    sources.encryption,
    fixed(
      'online',
      'the data key is wrapped again, mostly within 30 minutes; the old key version must stay enabled for 2 hours, or the server becomes inaccessible',
    ),
  ),
  row(
    'encryption-identity',
    [
      'customer_managed_key',
      'customer_managed_key.primary_user_assigned_identity_id',
      'customer_managed_key.geo_backup_user_assigned_identity_id',
    ],
    sources.encryption,
    fixed(
      'unknown',
      'the server reads its key with another identity, and becomes inaccessible if that may not unwrap it',
    ),
  ),
  row('identity', ['identity', 'identity.identity_ids', 'identity.type'], sources.provider, identities),
  row(
    'public-network',
    ['public_network_access_enabled'],
    sources.privateLink,
    toggled(
      {
        impact: 'security-weakened',
        says: 'the server is reachable from public networks that a firewall rule allows',
        controls: [cis('6.3'), 'CKV2_AZURE_57', 'MCSB NS-2'],
      },
      { impact: 'online', says: 'clients outside the private network lose their connection' },
      'on',
    ),
  ),
  row(
    'dns-zone',
    ['private_dns_zone_id'],
    sources.provider,
    fixed(
      'unknown',
      "the server's name is resolved through another zone; clients whose network is not linked to it cannot connect",
    ),
  ),
  row(
    'replica-promoted',
    ['replication_role'],
    sources.replicas,
    fixed(
      'recovery-weakened',
      'the replica becomes a server of its own, which cannot be reversed, and the primary loses it',
    ),
  ),
  row('create-mode', ['create_mode'], sources.provider, ({ attribute: { after, isUnknown } }) =>
    !isUnknown && (after === 'Default' || after === 'Update')
      ? { impact: 'nothing', says: 'the mode of creation is only sent' }
      : {
          impact: 'refused-by-azure',
          says: 'Azure accepts only Default and Update as the mode of an existing server',
        },
  ),
  row(
    'cluster',
    ['cluster', 'cluster.size'],
    sources.provider,
    ({ attribute: { before, after, isUnknown } }) =>
      !isUnknown && typeof before === 'number' && typeof after === 'number' && after > before
        ? [
            { impact: 'online', says: 'nodes are added; rows move only with citus_rebalance_start()' },
            {
              impact: 'cost',
              says: `${before} to ${after} nodes`,
              factor: { of: 'server', by: after / before },
            },
          ]
        : { impact: 'unknown', says: 'an elastic cluster does not shrink' },
  ),
  row(
    'tags',
    ['tags', 'timeouts', 'fqdn', 'id'],
    sources.provider,
    fixed('nothing', 'the database does not notice'),
  ),
];
