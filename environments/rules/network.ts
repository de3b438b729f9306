/** Address ranges, subnets, and what each network mode allows and excludes. */
import { type Cidr, contains, overlaps, parseAddress, parseCidr, purpose } from '../ranges.ts';
import { type Candidate, endpointZones } from '../resolved.ts';
import { check, defineRules, type Finding, isProtected, repeated, urls } from '../rule.ts';

/** Prefix of the smallest subnet: Azure keeps five addresses of each. */
const smallestSubnetPrefix = 29;

/** Prefix of the smallest delegated subnet: a server with a standby takes four addresses beside Azure's five. */
const smallestDelegatedPrefix = 28;

/** Prefix of the smallest subnet of an environment of Container Apps with workload profiles. */
const smallestJobPrefix = 27;

/** Addresses of the largest range that a firewall rule may admit. A larger one is a part of the internet. */
const largestRange = 65_536;

/** Purposes, by the registry of special-purpose addresses, of the ranges that a virtual network may have. */
const purposesOfNetworks = ['private', 'carrierGradeNat', 'unicast'];

const privateEndpointDns = 'https://learn.microsoft.com/azure/private-link/private-endpoint-dns';

interface Placed {
  readonly field: string;
  readonly text: string;
  /** Undefined if the text is not a range. */
  readonly range: Cidr | undefined;
}

interface Readable extends Placed {
  readonly range: Cidr;
}

interface Side {
  readonly field: string;
  readonly hasDelegatedSubnet: boolean;
  readonly spaces: readonly Placed[];
  readonly endpoint: readonly Placed[];
  readonly delegated: readonly Placed[];
  /** Subnet of the post-deploy job. */
  readonly job: readonly Placed[];
}

/** The networks of an environment with their ranges. */
function sides({ network, postDeployJob }: Candidate): readonly Side[] {
  const recovery = network.mode === 'public' ? undefined : network.recovery;
  return (['primary', 'recovery'] as const).flatMap((side): Side[] => {
    const one = side === 'primary' ? network.primary : recovery;
    if (!one) return [];
    const field = `network.${side}`;
    const { virtualNetwork, endpointSubnet, delegatedSubnet } = one;
    return [
      {
        field,
        hasDelegatedSubnet: delegatedSubnet !== undefined,
        spaces: virtualNetwork.addressSpace.map((text, position) =>
          placed(`${field}.virtualNetwork.addressSpace.${position}`, text),
        ),
        endpoint: [placed(`${field}.endpointSubnet.range`, endpointSubnet.range)],
        delegated: delegatedSubnet ? [placed(`${field}.delegatedSubnet.range`, delegatedSubnet.range)] : [],
        job:
          postDeployJob && side === 'primary'
            ? [placed('postDeployJob.subnet.range', postDeployJob.subnet.range)]
            : [],
      },
    ];
  });
}

const subscription = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Resources that can be in another subscription, by their fields. */
function shareable({ network, logAnalytics }: Candidate) {
  const recovery = network.mode === 'public' ? undefined : network.recovery;
  return {
    'network.primary.virtualNetwork': network.primary.virtualNetwork,
    'network.recovery.virtualNetwork': recovery?.virtualNetwork,
    'network.keyVaultZone': network.keyVaultZone,
    'network.postgresqlZone': network.mode === 'public' ? undefined : network.postgresqlZone,
    logAnalytics,
  };
}

function placed(field: string, text: string): Placed {
  return { field, text, range: parseCidr(text) };
}

/** One rule reports the unreadable ranges; the others leave them out. */
function readable(ranges: readonly Placed[]): readonly Readable[] {
  return ranges.flatMap((one) => (one.range ? [{ ...one, range: one.range }] : []));
}

function subnets({ endpoint, delegated, job }: Side): readonly Placed[] {
  return [...endpoint, ...delegated, ...job];
}

function overlapFindings(ranges: readonly Readable[], rule: string): readonly Finding[] {
  return ranges.flatMap((later, position) => {
    const earlier = ranges.slice(0, position).find((one) => overlaps(one.range, later.range));
    return check(!earlier, later.field, later.text, {
      rule: `${rule} (${earlier?.field} is ${earlier?.text})`,
    });
  });
}

function sizeFindings(ranges: readonly Placed[], smallest: number): readonly Finding[] {
  return readable(ranges).flatMap(({ field, text, range }) => check(range.prefix <= smallest, field, text));
}

interface AllowedRange {
  readonly field: string;
  readonly start: string;
  readonly end: string;
  readonly value: string;
}

/** The firewall's ranges. None in the other modes. */
function allowedRanges({ network }: Candidate): readonly AllowedRange[] {
  if (network.mode !== 'public') return [];
  return network.allowedRanges.map(({ start, end }, position) => ({
    field: `network.allowedRanges.${position}`,
    start,
    end,
    value: `${start} - ${end}`,
  }));
}

const isEveryAzureService = ({ start, end }: AllowedRange) => start === '0.0.0.0' && end === '0.0.0.0';

/** Findings of the ranges whose two addresses are readable, other than the one for all Azure services. */
function rangeFindings(
  candidate: Candidate,
  find: (range: AllowedRange, start: number, end: number) => readonly Finding[],
): readonly Finding[] {
  return allowedRanges(candidate).flatMap((range) => {
    const [start, end] = [parseAddress(range.start), parseAddress(range.end)];
    if (start === undefined || end === undefined || isEveryAzureService(range)) return [];
    return find(range, start, end);
  });
}

const rangeSize = (start: number, end: number) => end - start + 1;

export const networkRules = defineRules({
  'network/range-notation': {
    rule: 'a range is written in CIDR notation with no bits set beyond its prefix, like 10.30.1.0/24',
    source: 'https://www.rfc-editor.org/rfc/rfc4632#section-3.1',
    check: (candidate) =>
      sides(candidate).flatMap((side) =>
        [...side.spaces, ...subnets(side)].flatMap(({ field, text, range }) =>
          check(range !== undefined, field, text),
        ),
      ),
  },

  'network/usable-space': {
    rule: 'a virtual network has no multicast, loopback, link-local or broadcast addresses',
    source: urls.subnets,
    remedy: 'Choose a range of RFC 1918: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.',
    check: (candidate) =>
      sides(candidate).flatMap(({ spaces }) =>
        readable(spaces).flatMap(({ field, text }) =>
          check(purposesOfNetworks.includes(purpose(text.split('/')[0] ?? '')), field, text),
        ),
      ),
  },

  'network/subnet-inside': {
    rule: 'a subnet lies within one range of its network',
    source: urls.subnets,
    check: (candidate) =>
      sides(candidate).flatMap((side) => {
        const spaces = readable(side.spaces);
        if (spaces.length === 0) return [];
        return readable(subnets(side)).flatMap(({ field, text, range }) =>
          check(
            spaces.some((space) => contains(space.range, range)),
            field,
            text,
            {
              rule: `a subnet lies within one range of its network (${spaces.map((space) => space.text).join(', ')})`,
            },
          ),
        );
      }),
  },

  'network/subnets-apart': {
    rule: 'subnets of one network do not overlap',
    source: urls.subnets,
    check: (candidate) =>
      sides(candidate).flatMap((side) =>
        overlapFindings(readable(subnets(side)), 'subnets of one network do not overlap'),
      ),
  },

  'network/ranges-apart': {
    rule: 'ranges of one network do not overlap',
    source: urls.subnets,
    check: (candidate) =>
      sides(candidate).flatMap(({ spaces }) =>
        overlapFindings(readable(spaces), 'ranges of one network do not overlap'),
      ),
  },

  /** Replication and applications cross between the regions. */
  'network/networks-apart': {
    rule: "the recovery region's network does not overlap the primary's: overlapping networks cannot be peered",
    source:
      'https://learn.microsoft.com/azure/virtual-network/virtual-network-peering-overview#requirements-and-constraints',
    check: (candidate) => {
      const [home, away] = sides(candidate);
      return readable(away?.spaces ?? []).flatMap(({ field, text, range }) => {
        const other = readable(home?.spaces ?? []).find((space) => overlaps(space.range, range));
        return check(!other, field, text, {
          rule: `the recovery region's network does not overlap the primary's (${other?.text}): overlapping networks cannot be peered`,
        });
      });
    },
  },

  'network/subnet-size': {
    rule: `a subnet is /${smallestSubnetPrefix} or larger: Azure keeps five addresses of each`,
    source: urls.subnets,
    check: (candidate) =>
      sides(candidate).flatMap(({ endpoint }) => sizeFindings(endpoint, smallestSubnetPrefix)),
  },

  'network/delegated-subnet-size': {
    rule: `a subnet delegated to the Flexible Server is /${smallestDelegatedPrefix} or larger: a server with a standby takes four addresses beside Azure's five`,
    source: urls.injection,
    check: (candidate) =>
      sides(candidate).flatMap(({ delegated }) => sizeFindings(delegated, smallestDelegatedPrefix)),
  },

  'network/job-subnet-size': {
    rule: `the subnet of the post-deploy job is /${smallestJobPrefix} or larger: an environment of Container Apps takes twelve addresses for itself`,
    source: urls.containerAppsSubnet,
    check: (candidate) => sides(candidate).flatMap(({ job }) => sizeFindings(job, smallestJobPrefix)),
  },

  'network/existing-subnet': {
    rule: 'an existing subnet is in an existing network, and a network of another subscription has existing subnets only: the stack creates nothing there',
    source: 'docs/decisions.md, 62',
    remedy: 'Set existing: true for the network, or for the subnet.',
    check: ({ network, postDeployJob }) => {
      const recovery = network.mode === 'public' ? undefined : network.recovery;
      return Object.entries({ primary: network.primary, recovery }).flatMap(([side, given]) => {
        if (!given) return [];
        const { virtualNetwork, endpointSubnet, delegatedSubnet } = given;
        const field = `network.${side}`;
        const all = {
          [`${field}.endpointSubnet`]: endpointSubnet,
          [`${field}.delegatedSubnet`]: delegatedSubnet,
          ...(side === 'primary' && { 'postDeployJob.subnet': postDeployJob?.subnet }),
        };
        return Object.entries(all).flatMap(([name, subnet]) => {
          if (!subnet) return [];
          const holds = subnet.existing
            ? virtualNetwork.existing
            : virtualNetwork.subscriptionId === undefined;
          return check(holds, `${name}.existing`, subnet.existing);
        });
      });
    },
  },

  'network/other-subscription': {
    rule: 'a resource of another subscription exists already and has its resource group: the stack forms its id of the three',
    source: 'docs/decisions.md, 62',
    remedy: 'Set existing: true and resourceGroup. A subscription id is a UUID: az account list.',
    check: (candidate) =>
      Object.entries(shareable(candidate)).flatMap(([field, given]) => {
        if (given?.subscriptionId === undefined) return [];
        const { subscriptionId, existing, resourceGroup } = given;
        const holds = existing && resourceGroup !== undefined && subscription.test(subscriptionId);
        return check(holds, `${field}.subscriptionId`, subscriptionId);
      }),
  },

  'network/zone-by-policy': {
    rule: 'a zone that an Azure Policy fills is neither created nor named here, and an injected server needs its own: Azure registers it there itself',
    source: 'docs/decisions.md, 62',
    remedy: 'Remove byPolicy, or the other settings of the zone.',
    check: ({ network }) => {
      const zones = {
        keyVaultZone: network.keyVaultZone,
        ...(network.mode !== 'public' && { postgresqlZone: network.postgresqlZone }),
      };
      return Object.entries(zones).flatMap(([field, { byPolicy, name, existing, resourceGroup }]) => {
        const isInjected = field === 'postgresqlZone' && network.mode === 'virtualNetworkInjected';
        const isGiven = name !== undefined || existing || resourceGroup !== undefined;
        return check(!byPolicy || !(isInjected || isGiven), `network.${field}.byPolicy`, byPolicy);
      });
    },
  },

  'network/delegated-subnet': {
    rule: 'a server injected into a network needs a subnet delegated to Microsoft.DBforPostgreSQL/flexibleServers',
    source: urls.injection,
    check: (candidate) =>
      sides(candidate).flatMap(({ field, hasDelegatedSubnet }) => {
        const holds = hasDelegatedSubnet || candidate.network.mode !== 'virtualNetworkInjected';
        return check(holds, `${field}.delegatedSubnet`, undefined);
      }),
  },

  'network/delegated-subnet-is-used': {
    rule: 'only mode virtualNetworkInjected has a delegated subnet: a server in one accepts neither private endpoint nor firewall rules',
    source: 'https://github.com/hashicorp/terraform-provider-azurerm/issues/27732',
    remedy: 'Leave the subnet out, or choose mode virtualNetworkInjected.',
    check: ({ network }) => {
      if (network.mode === 'virtualNetworkInjected') return [];
      const recovery = network.mode === 'public' ? undefined : network.recovery;
      const given = { primary: network.primary, recovery };
      return (['primary', 'recovery'] as const).flatMap((side) => {
        const subnet = given[side]?.delegatedSubnet;
        return check(subnet === undefined, `network.${side}.delegatedSubnet`, subnet, {
          rule: `mode ${network.mode} has no delegated subnet: a server in one accepts neither private endpoint nor firewall rules`,
        });
      });
    },
  },

  'network/protected-is-private': {
    rule: 'an environment that is protected (protection.deletionLock or protection.preventDestroy) is not reachable from the internet',
    source: 'docs/decisions.md, 6; CKV2_AZURE_57',
    remedy: 'Choose privateEndpoint or virtualNetworkInjected.',
    check: (candidate) => {
      const { mode } = candidate.network;
      return check(mode !== 'public' || !isProtected(candidate), 'network.mode', mode);
    },
  },

  'network/firewall-address': {
    rule: 'the address of a firewall rule is IPv4 in dotted decimal',
    source: urls.firewall,
    check: (candidate) =>
      allowedRanges(candidate).flatMap((range) =>
        (['start', 'end'] as const).flatMap((edge) =>
          check(parseAddress(range[edge]) !== undefined, `${range.field}.${edge}`, range[edge]),
        ),
      ),
  },

  'network/not-every-azure-service': {
    rule: 'no firewall rule is 0.0.0.0 - 0.0.0.0, which admits the services of every Azure tenant',
    source: `docs/decisions.md, 6; CKV2_AZURE_26; ${urls.firewall}`,
    remedy: 'List the outbound addresses of the services that connect.',
    check: (candidate) =>
      allowedRanges(candidate).flatMap((range) =>
        check(!isEveryAzureService(range), range.field, range.value),
      ),
  },

  'network/range-order': {
    rule: 'the start of a range is not after its end',
    source: urls.firewall,
    check: (candidate) =>
      rangeFindings(candidate, ({ field, value }, start, end) => check(start <= end, field, value)),
  },

  'network/range-size': {
    rule: `a range has at most ${largestRange} addresses: a larger one is the internet, not a list of clients`,
    source: 'docs/decisions.md, 6; CKV2_AZURE_26',
    remedy: 'List the addresses that your clients come from.',
    check: (candidate) =>
      rangeFindings(candidate, ({ field, value }, start, end) =>
        check(rangeSize(start, end) <= largestRange, field, value),
      ),
  },

  'network/public-addresses': {
    rule: 'a firewall rule has public addresses: others never arrive at the public endpoint',
    source: `docs/decisions.md, 6; ${urls.firewall}`,
    remedy: 'Clients on a private network need mode privateEndpoint or virtualNetworkInjected.',
    check: (candidate) =>
      rangeFindings(candidate, (range, start, end) => {
        if (start > end || rangeSize(start, end) > largestRange) return [];
        const other = [purpose(range.start), purpose(range.end)].find((one) => one !== 'unicast');
        return check(other === undefined, range.field, range.value, {
          rule: `a firewall rule has public addresses; ${other} ones never arrive at the public endpoint`,
        });
      }),
  },

  'network/firewall-rules-are-distinct': {
    rule: "a firewall rule's name is used once, in any case",
    source: urls.firewall,
    check: ({ network }) =>
      network.mode === 'public'
        ? repeated(network.allowedRanges, (range) => range.name.toLowerCase()).map(({ item, position }) => ({
            field: `network.allowedRanges.${position}.name`,
            value: item.name,
          }))
        : [],
  },

  'network/has-allowed-range': {
    rule: 'mode public lists at least one range: without any, nothing can connect, the post-deploy step included',
    source: `docs/decisions.md, 6; ${urls.firewall}`,
    check: ({ network }) =>
      network.mode === 'public'
        ? check(network.allowedRanges.length > 0, 'network.allowedRanges', network.allowedRanges)
        : [],
  },

  'network/postgresql-endpoint-zone': {
    rule: `the private DNS zone of a private endpoint to PostgreSQL is ${endpointZones.postgresql}: the server's public name is an alias into it`,
    source: privateEndpointDns,
    check: ({ network }) => {
      if (network.mode !== 'privateEndpoint') return [];
      const { name } = network.postgresqlZone;
      const holds = name === undefined || name === endpointZones.postgresql;
      return check(holds, 'network.postgresqlZone.name', name);
    },
  },

  'network/injected-zone': {
    rule: 'the private DNS zone of an injected server ends in .postgres.database.azure.com',
    source: urls.injection,
    check: ({ network }) => {
      if (network.mode !== 'virtualNetworkInjected') return [];
      const { name } = network.postgresqlZone;
      const holds =
        name === undefined || /^[a-z0-9-]+(\.[a-z0-9-]+)*\.postgres\.database\.azure\.com$/.test(name);
      return check(holds, 'network.postgresqlZone.name', name);
    },
  },

  'network/injected-zone-name': {
    rule: 'the private DNS zone of an injected server has another name than the server',
    source: urls.injection,
    check: ({ network, server, replica }) => {
      if (network.mode !== 'virtualNetworkInjected') return [];
      const { name } = network.postgresqlZone;
      const taken = [server.name, replica?.name].map((one) => `${one}.postgres.database.azure.com`);
      return check(
        name === undefined || !taken.includes(name.toLowerCase()),
        'network.postgresqlZone.name',
        name,
      );
    },
  },

  'network/key-vault-zone': {
    rule: `the private DNS zone of a private endpoint to Key Vault is ${endpointZones.keyVault}`,
    source: privateEndpointDns,
    check: ({ network }) => {
      const { name } = network.keyVaultZone;
      const holds = name === undefined || name === endpointZones.keyVault;
      return check(holds, 'network.keyVaultZone.name', name);
    },
  },

  'network/recovery-network': {
    rule: "a replica in another region needs a network there: the primary's may be lost with its region",
    source: 'docs/decisions.md, 6',
    check: ({ network, replica, location }) => {
      if (network.mode === 'public' || !replica || replica.location === location) return [];
      return check(network.recovery !== undefined, 'network.recovery', undefined);
    },
  },

  'network/recovery-region': {
    rule: 'a recovery network needs a region',
    source: 'environments/settings.ts',
    remedy: 'Set recoveryLocation, or leave network.recovery out.',
    check: ({ network, recoveryLocation }) =>
      network.mode === 'public'
        ? []
        : check(!network.recovery || recoveryLocation !== undefined, 'recoveryLocation', recoveryLocation),
  },
});
