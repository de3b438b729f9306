/** Address ranges, subnets, and what each network mode allows and excludes. */
import type { EnvironmentSettings, NetworkSettings } from '../settings.ts';
import { type Cidr, contains, overlaps, parseAddress, parseCidr, purpose } from './ranges.ts';
import { check, type Finding, finding, isProtected, type Rule, repeated, urls } from './rule.ts';

type Side = 'primary' | 'recovery';
type RegionalNetwork = NetworkSettings['primary'];

function sides(network: NetworkSettings): [Side, RegionalNetwork][] {
  const recovery = network.mode === 'public' ? undefined : network.recovery;
  return recovery
    ? [
        ['primary', network.primary],
        ['recovery', recovery],
      ]
    : [['primary', network.primary]];
}

const notation = {
  rule: 'a range is written in CIDR notation with no bits set beyond its prefix, like 10.30.1.0/24',
  source: 'https://www.rfc-editor.org/rfc/rfc4632#section-3.1',
};

function notationFinding(field: string, value: string): readonly Finding[] {
  return check(parseCidr(value) !== undefined, field, value, notation);
}

/** Every range reads as one; what does not is left out of the rules about sizes and overlaps. */
const readableRanges: Rule = ({ network }) =>
  sides(network).flatMap(([side, one]) => [
    ...one.virtualNetwork.addressSpace.flatMap((range, position) =>
      notationFinding(`network.${side}.virtualNetwork.addressSpace.${position}`, range),
    ),
    ...notationFinding(`network.${side}.endpointSubnet.range`, one.endpointSubnet.range),
    ...(one.delegatedSubnet
      ? notationFinding(`network.${side}.delegatedSubnet.range`, one.delegatedSubnet.range)
      : []),
  ]);

const purposesOfNetworks = ['private', 'carrierGradeNat', 'unicast'];

/** Azure refuses these spaces for a virtual network whatever their size. */
const usableSpace: Rule = ({ network }) =>
  sides(network).flatMap(([side, one]) =>
    one.virtualNetwork.addressSpace.flatMap((range, position) =>
      check(
        !parseCidr(range) || purposesOfNetworks.includes(purpose(range.split('/')[0] ?? '')),
        `network.${side}.virtualNetwork.addressSpace.${position}`,
        range,
        {
          rule: 'a virtual network has no multicast, loopback, link-local or broadcast addresses',
          source: urls.subnets,
          remedy: 'Take a range of RFC 1918: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.',
        },
      ),
    ),
  );

interface Placed {
  readonly field: string;
  readonly text: string;
  readonly range: Cidr;
}

function subnets(side: Side, one: RegionalNetwork): Placed[] {
  const written = [
    [`network.${side}.endpointSubnet.range`, one.endpointSubnet.range],
    [`network.${side}.delegatedSubnet.range`, one.delegatedSubnet?.range],
  ] as const;
  return written.flatMap(([field, text]) => placed(field, text));
}

function spaces(side: Side, one: RegionalNetwork): Placed[] {
  return one.virtualNetwork.addressSpace.flatMap((text, position) =>
    placed(`network.${side}.virtualNetwork.addressSpace.${position}`, text),
  );
}

function placed(field: string, text: string | undefined): Placed[] {
  const range = text === undefined ? undefined : parseCidr(text);
  return text === undefined || range === undefined ? [] : [{ field, text, range }];
}

const subnetsInside: Rule = ({ network }) =>
  sides(network).flatMap(([side, one]) => {
    const around = spaces(side, one);
    if (around.length === 0) return [];
    return subnets(side, one).flatMap(({ field, text, range }) =>
      check(
        around.some((space) => contains(space.range, range)),
        field,
        text,
        {
          rule: `a subnet lies within one range of its network (${around.map((space) => space.text).join(', ')})`,
          source: urls.subnets,
        },
      ),
    );
  });

function overlapFindings(ranges: readonly Placed[], rule: string, source: string): Finding[] {
  return ranges.flatMap((later, position) => {
    const earlier = ranges.slice(0, position).find((one) => overlaps(one.range, later.range));
    return earlier
      ? [finding(later.field, later.text, { rule: `${rule} (${earlier.field} is ${earlier.text})`, source })]
      : [];
  });
}

const disjointSubnets: Rule = ({ network }) =>
  sides(network).flatMap(([side, one]) => [
    ...overlapFindings(subnets(side, one), 'subnets of one network do not overlap', urls.subnets),
    ...overlapFindings(spaces(side, one), 'ranges of one network do not overlap', urls.subnets),
  ]);

/** Replication and applications cross between the regions, and overlapping networks cannot be peered. */
const disjointNetworks: Rule = ({ network }) => {
  if (network.mode === 'public' || !network.recovery) return [];
  const home = spaces('primary', network.primary);
  return spaces('recovery', network.recovery).flatMap((away) => {
    const other = home.find((space) => overlaps(space.range, away.range));
    return other
      ? [
          finding(away.field, away.text, {
            rule: `the recovery region’s network does not overlap the primary’s (${other.text}): overlapping networks cannot be peered`,
            source:
              'https://learn.microsoft.com/azure/virtual-network/virtual-network-peering-overview#requirements-and-constraints',
          }),
        ]
      : [];
  });
};

const subnetSizes: Rule = ({ network }) =>
  sides(network).flatMap(([side, one]) => [
    ...placed(`network.${side}.endpointSubnet.range`, one.endpointSubnet.range).flatMap(
      ({ field, text, range }) =>
        check(range.prefix <= 29, field, text, {
          rule: 'a subnet is /29 or larger: Azure keeps five addresses of each',
          source: urls.subnets,
        }),
    ),
    ...placed(`network.${side}.delegatedSubnet.range`, one.delegatedSubnet?.range).flatMap(
      ({ field, text, range }) =>
        check(range.prefix <= 28, field, text, {
          rule: 'a subnet delegated to the Flexible Server is /28 or larger: a server with a standby takes four addresses beside Azure’s five',
          source: urls.injection,
        }),
    ),
  ]);

const delegatedSubnet: Rule = ({ network }) =>
  sides(network).flatMap(([side, one]) => {
    const field = `network.${side}.delegatedSubnet`;
    return network.mode === 'virtualNetworkInjected'
      ? check(one.delegatedSubnet !== undefined, field, one.delegatedSubnet, {
          rule: 'a server injected into a network needs a subnet delegated to Microsoft.DBforPostgreSQL/flexibleServers',
          source: urls.injection,
        })
      : check(one.delegatedSubnet === undefined, field, one.delegatedSubnet, {
          rule: `mode ${network.mode} has no delegated subnet: a server with one accepts neither private endpoint nor firewall rules`,
          source: 'https://github.com/hashicorp/terraform-provider-azurerm/issues/27732',
          remedy: 'Leave it out, or choose mode virtualNetworkInjected.',
        });
  });

const publicOnlyUnprotected: Rule = (settings) =>
  check(settings.network.mode !== 'public' || !isProtected(settings), 'network.mode', settings.network.mode, {
    rule: 'an environment that is protected (protection.deletionLock or protection.preventDestroy) is not reachable from the internet',
    source: 'docs/decisions.md, 6; CKV2_AZURE_57',
    remedy: 'Choose privateEndpoint or virtualNetworkInjected.',
  });

/** A range larger than this is a part of the internet rather than a list of clients. */
const largestRange = 65_536;

const allowedRanges: Rule = ({ network }) => {
  if (network.mode !== 'public') return [];
  const findings = network.allowedRanges.flatMap(({ start, end }, position) =>
    rangeFindings(`network.allowedRanges.${position}`, start, end),
  );
  const names = repeated(network.allowedRanges, (range) => range.name).map(({ item, position }) =>
    finding(`network.allowedRanges.${position}.name`, item.name, {
      rule: 'a firewall rule’s name is used once',
      source: urls.firewall,
    }),
  );
  const none = check(network.allowedRanges.length > 0, 'network.allowedRanges', network.allowedRanges, {
    rule: 'mode public lists at least one range: without any nobody connects, the step that builds the schema included',
    source: urls.firewall,
  });
  return [...findings, ...names, ...none];
};

function rangeFindings(field: string, startText: string, endText: string): Finding[] {
  const start = parseAddress(startText);
  const end = parseAddress(endText);
  const unreadable = (
    [
      ['start', startText, start],
      ['end', endText, end],
    ] as const
  ).filter(([, , number]) => number === undefined);
  if (start === undefined || end === undefined) {
    return unreadable.map(([edge, text]) =>
      finding(`${field}.${edge}`, text, {
        rule: 'a firewall rule’s address is IPv4 in dotted decimal',
        source: urls.firewall,
      }),
    );
  }
  const value = `${startText} - ${endText}`;
  if (startText === '0.0.0.0' && endText === '0.0.0.0') {
    return [
      finding(field, value, {
        rule: 'the rule 0.0.0.0 - 0.0.0.0 admits every Azure tenant’s services, not only yours',
        source: `CKV2_AZURE_26; ${urls.firewall}`,
        remedy: 'List the outbound addresses of the services that connect.',
      }),
    ];
  }
  if (start > end) {
    return [finding(field, value, { rule: 'a range’s start is not after its end', source: urls.firewall })];
  }
  if (end - start + 1 > largestRange) {
    return [
      finding(field, value, {
        rule: `a range holds at most ${largestRange} addresses: more is the internet, not a list of clients`,
        source: 'CKV2_AZURE_26',
        remedy: 'List the addresses your clients come from.',
      }),
    ];
  }
  const purposes = [purpose(startText), purpose(endText)];
  return purposes.every((one) => one === 'unicast')
    ? []
    : [
        finding(field, value, {
          rule: `a firewall rule holds public addresses; ${purposes.find((one) => one !== 'unicast')} ones never arrive at the public endpoint`,
          source: urls.firewall,
          remedy: 'Clients on a private network need mode privateEndpoint or virtualNetworkInjected.',
        }),
      ];
}

const zoneNames: Rule = ({ network }) => {
  const postgresqlZone = network.mode === 'public' ? undefined : network.postgresqlZone.name;
  const wanted = 'privatelink.postgres.database.azure.com';
  const findings: Finding[] = [];
  if (postgresqlZone !== undefined && network.mode === 'privateEndpoint') {
    findings.push(
      ...check(postgresqlZone === wanted, 'network.postgresqlZone.name', postgresqlZone, {
        rule: `the private DNS zone of a private endpoint to PostgreSQL is ${wanted}: the server’s public name is an alias into it`,
        source: 'https://learn.microsoft.com/azure/private-link/private-endpoint-dns',
      }),
    );
  }
  if (postgresqlZone !== undefined && network.mode === 'virtualNetworkInjected') {
    findings.push(
      ...check(
        /^[a-z0-9-]+(\.[a-z0-9-]+)*\.postgres\.database\.azure\.com$/.test(postgresqlZone),
        'network.postgresqlZone.name',
        postgresqlZone,
        {
          rule: 'the private DNS zone of an injected server ends in .postgres.database.azure.com',
          source: urls.injection,
        },
      ),
    );
  }
  const vaultZone = network.keyVaultZone.name;
  return [
    ...findings,
    ...check(
      vaultZone === undefined || vaultZone === 'privatelink.vaultcore.azure.net',
      'network.keyVaultZone.name',
      vaultZone,
      {
        rule: 'the private DNS zone of a private endpoint to Key Vault is privatelink.vaultcore.azure.net',
        source: 'https://learn.microsoft.com/azure/private-link/private-endpoint-dns',
      },
    ),
  ];
};

const recoveryNetwork: Rule = ({ network, replica, recoveryLocation }: EnvironmentSettings) => {
  if (network.mode === 'public') return [];
  return [
    ...check(!replica || network.recovery !== undefined, 'network.recovery', undefined, {
      rule: 'a replica needs a network in its own region: a private endpoint lies in the network of its clients, and the primary’s may be gone',
      source: urls.replicas,
    }),
    ...check(!network.recovery || recoveryLocation !== undefined, 'recoveryLocation', recoveryLocation, {
      rule: 'a recovery network needs a region to be in',
      source: 'environments/settings.ts',
      remedy: 'Set recoveryLocation, or leave network.recovery out.',
    }),
  ];
};

export const networkRules: readonly Rule[] = [
  readableRanges,
  usableSpace,
  subnetsInside,
  disjointSubnets,
  disjointNetworks,
  subnetSizes,
  delegatedSubnet,
  publicOnlyUnprotected,
  allowedRanges,
  zoneNames,
  recoveryNetwork,
];
