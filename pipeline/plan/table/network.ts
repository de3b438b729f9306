/** Rows about the way from clients to a server: endpoints, networks, names, routes and filters. */
import { type Json, textAt } from '../../../core/json.ts';
import { calm, lostElements, nothing, rows, unjudged, weakened } from './families.ts';
import { type About, fixed, type Judgement, type Row, sources } from './row.ts';

const lostWay = 'clients may lose their way to the server';

const privateEndpoints: Row[] = rows(
  { id: 'private-endpoint', types: ['azurerm_private_endpoint'], source: sources.privateLink },
  {
    created: ['create', nothing],
    tags: [
      [
        ...['tags', 'timeouts', 'network_interface', 'custom_dns_configs', 'private_dns_zone_configs'],
        ...['private_ip_address', 'request_message', 'private_connection_resource_alias'].map(
          (name) => `private_service_connection.${name}`,
        ),
      ],
      nothing,
    ],
    'dns-zone-group': [
      [
        'private_dns_zone_group',
        'private_dns_zone_group.name',
        'private_dns_zone_group.private_dns_zone_ids',
      ],
      fixed('long-outage', 'the name of the private endpoint leads nowhere until DNS has it again'),
    ],
    replaced: [
      'replace',
      fixed(
        'long-outage',
        'the plan destroys and creates the endpoint: private clients cannot connect until address and DNS are new',
      ),
    ],
    removed: ['delete', fixed('long-outage', 'private clients can no longer connect')],
  },
);

const ends = {
  replaced: [
    'replace',
    fixed('long-outage', 'the plan destroys and creates it: clients behind it cannot connect meanwhile'),
  ],
  removed: ['delete', fixed('long-outage', 'clients behind it can no longer connect')],
} as const;

/** A list that only grows is calm. */
const grown =
  (more: string, fewer: string) =>
  (about: About): Judgement =>
    about.attribute.isUnknown || lostElements(about) > 0 ? { impact: 'unknown', says: fewer } : calm(more);

/** A row about what ties a resource of a type to others, if the plan creates or destroys that resource as well: calm. */
const tied =
  (type: string, id: string, judge: (about: About) => Judgement) =>
  (about: About): Judgement => {
    const { change, context } = about;
    const target = textAt(change.before, id)?.toLowerCase();
    const ends = context.facts.resources.some(
      (one) =>
        one.type === type &&
        ['delete', 'replace'].includes(one.action) &&
        target !== undefined &&
        textAt(one.before, 'id')?.toLowerCase() === target,
    );
    const needed = context.needed(change, type);
    const isNew =
      change.action === 'create' && needed.length > 0 && needed.every((one) => one.action === 'create');
    if (isNew) return { impact: 'nothing', says: 'what it belongs to is new' };
    return ends ? { impact: 'nothing', says: 'what it belongs to is destroyed as well' } : judge(about);
  };

const network = 'azurerm_virtual_network';
const subnet = 'azurerm_subnet';
const ofSubnet = (judge: (about: About) => Judgement) => tied(subnet, 'subnet_id', judge);

const networks: Row[] = [
  ...rows(
    { id: 'virtual-network', types: [network], source: sources.network },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts', 'subnet', 'flow_timeout_in_minutes'], nothing],
      addresses: [['address_space'], grown('the network has more addresses', lostWay)],
      'dns-servers': [
        ['dns_servers'],
        unjudged('hosts ask other DNS servers: a private name that these do not know leads nowhere'),
      ],
      ddos: [
        ['ddos_protection_plan.*'],
        ({ attribute: { path, after, isUnknown } }) =>
          isUnknown || [after ?? []].flat().length === 0 || (path.endsWith('.enable') && after !== true)
            ? weakened('the network has no plan against denial of service', 'MCSB NS-5')
            : calm('the network has a plan against denial of service'),
      ],
      changed: [['*'], unjudged(lostWay)],
      ...ends,
    },
  ),
  ...rows(
    { id: 'peering', types: ['azurerm_virtual_network_peering'], source: sources.network },
    {
      created: [
        'create',
        tied(network, 'remote_virtual_network_id', () =>
          weakened('the other network reaches this one', 'MCSB NS-1'),
        ),
      ],
      tags: [['timeouts', 'triggers'], nothing],
      access: [
        ['allow_virtual_network_access'],
        ({ attribute: { after, isUnknown } }) =>
          after === false && !isUnknown
            ? { impact: 'long-outage', says: 'clients of the other network can no longer connect' }
            : weakened('the other network reaches this one', 'MCSB NS-1'),
      ],
      changed: [['*'], unjudged(lostWay)],
      ...ends,
    },
  ),
  ...rows(
    {
      id: 'dns-link',
      types: ['azurerm_private_dns_zone_virtual_network_link'],
      source: sources.network,
    },
    {
      resolution: [
        ['resolution_policy'],
        fixed('online', 'a name that the zone does not have is looked up in another place'),
      ],
    },
  ),
  ...rows(
    {
      id: 'network',
      types: [
        subnet,
        'azurerm_private_dns_zone',
        'azurerm_private_dns_zone_virtual_network_link',
        'azurerm_private_dns_a_record',
        'azurerm_private_dns_aaaa_record',
        'azurerm_private_dns_cname_record',
      ],
      source: sources.network,
    },
    {
      created: ['create', nothing],
      tags: [
        [
          'tags',
          'timeouts',
          'subnet',
          'number_of_record_sets',
          'registration_enabled',
          'ttl',
          'soa_record.*',
        ],
        nothing,
      ],
      changed: [['*'], unjudged(lostWay)],
      ...ends,
    },
  ),
  ...rows(
    { id: 'route', types: ['azurerm_route_table', 'azurerm_route'], source: sources.network },
    {
      created: [
        'create',
        tied('azurerm_route_table', 'route_table_id', ({ change }) =>
          change.type === 'azurerm_route'
            ? { impact: 'unknown', says: `packets take another way, and ${lostWay}` }
            : { impact: 'nothing', says: 'a table of routes, which no subnet uses yet' },
        ),
      ],
      tags: [['tags', 'timeouts', 'subnets'], nothing],
      changed: [['*'], unjudged(`packets take another way, and ${lostWay}`)],
      replaced: ['replace', unjudged(`packets take another way, and ${lostWay}`)],
      removed: ['delete', unjudged(`packets take another way, and ${lostWay}`)],
    },
  ),
  ...rows(
    {
      id: 'route-use',
      types: ['azurerm_subnet_route_table_association', 'azurerm_subnet_nat_gateway_association'],
      source: sources.network,
    },
    {
      used: ['create', ofSubnet(unjudged(`packets of the subnet take another way, and ${lostWay}`))],
      tags: [['timeouts'], nothing],
      replaced: ['replace', unjudged(`packets of the subnet take another way, and ${lostWay}`)],
      removed: ['delete', ofSubnet(unjudged(`packets of the subnet take another way, and ${lostWay}`))],
    },
  ),
];

const groupType = 'azurerm_network_security_group';

/** Access that rules of a security group give, as texts, one a rule. */
function accesses(rules: readonly (Json | undefined)[]): readonly string[] {
  return rules.flatMap((rule) => textAt(rule, 'access') ?? []);
}

const isAllowed = (access: string) => access.toLowerCase() !== 'deny';

/** Rules of a list that the other list does not have. */
function extra(one: Json | undefined, other: Json | undefined): readonly string[] {
  const has = new Set([other].flat().map((rule) => JSON.stringify(rule)));
  return accesses([one].flat().filter((rule) => !has.has(JSON.stringify(rule))));
}

const through = weakened('other traffic reaches the servers', 'MCSB NS-1');
const cutOff: Judgement = { impact: 'unknown', says: lostWay };

function filtered({ attribute }: About): Judgement {
  const { path, before, after, isUnknown } = attribute;
  if (path === 'description' || path.endsWith('.description'))
    return { impact: 'nothing', says: 'only the description differs' };
  if (isUnknown) return through;
  if (path === 'access' || path.endsWith('.access')) return after === 'Deny' ? cutOff : through;
  if (path !== 'security_rule') return through;
  const opened = extra(after, before).some(isAllowed) || !extra(before, after).every(isAllowed);
  return opened ? through : cutOff;
}

/** A rule of a group that the same plan creates filters nothing yet. */
const isOfNewGroup = ({ change, context }: About) =>
  context.facts.resources.some(
    ({ type, action, after }) =>
      type === groupType &&
      action === 'create' &&
      textAt(after, 'name') === textAt(change.after, 'network_security_group_name'),
  );

function ruleCreated(about: About): Judgement {
  if (about.change.type === groupType || isOfNewGroup(about))
    return { impact: 'nothing', says: 'it filters nothing until a subnet uses it' };
  return textAt(about.change.after, 'access') === 'Deny' ? cutOff : through;
}

const filters: Row[] = [
  ...rows(
    {
      id: 'security-group',
      types: ['azurerm_network_security_rule', groupType],
      source: sources.network,
    },
    {
      created: ['create', ruleCreated],
      tags: [['tags', 'timeouts'], nothing],
      changed: [['*'], filtered],
      replaced: ['replace', () => weakened('for a moment nothing filters the traffic', 'MCSB NS-1')],
      removed: [
        'delete',
        ({ change }) =>
          textAt(change.before, 'access') === 'Allow'
            ? cutOff
            : weakened('nothing filters the traffic any more', 'MCSB NS-1'),
      ],
    },
  ),
  ...rows(
    {
      id: 'security-group-use',
      types: ['azurerm_subnet_network_security_group_association'],
      source: sources.network,
    },
    {
      used: ['create', ofSubnet(unjudged(`the rules of the group apply to the subnet, and ${lostWay}`))],
      tags: [['timeouts'], nothing],
      replaced: ['replace', () => weakened('for a moment nothing filters the traffic', 'MCSB NS-1')],
      removed: [
        'delete',
        ofSubnet(() => weakened('nothing filters the traffic of the subnet any more', 'MCSB NS-1')),
      ],
    },
  ),
];

export const networkRows: readonly Row[] = [...privateEndpoints, ...networks, ...filters];
