import { endpoint, network, put, type RefusedRows, remove } from './rows.ts';

const net = 'Microsoft.Network/virtualNetworks/net';
const zone = 'Microsoft.Network/privateDnsZones/llama.example';
const subnet = (properties: object) => ({ location: undefined, properties });

export const networkRows: RefusedRows = {
  'Networks: subnetInUse': async (local) => {
    await network(local);
    await local.create('main');
    await endpoint(local, 'main', local.server('main'));
    return remove(local, `${net}/subnets/one`);
  },
  'Networks: referenceNotFound': async (local) => {
    await network(local);
    await local.create('main');
    return endpoint(local, 'main', local.server('main'), 'absent');
  },
  'Networks: subnetOutsideNetwork': async (local) => {
    await network(local);
    return put(local, `${net}/subnets/two`, subnet({ addressPrefix: '10.1.0.0/24' }));
  },
  'Networks: subnetsOverlap': async (local) => {
    await network(local);
    return put(local, `${net}/subnets/two`, subnet({ addressPrefix: '10.0.1.128/25' }));
  },
  'Networks: securityRuleConflict': (local) => {
    const rule = (name: string) => ({ name, properties: { direction: 'Inbound', priority: 100 } });
    return put(local, 'Microsoft.Network/networkSecurityGroups/rules', {
      properties: { securityRules: [rule('one'), rule('two')] },
    });
  },
  'Networks: securityGroupInUse': async (local) => {
    const group = 'Microsoft.Network/networkSecurityGroups/rules';
    await network(local);
    await put(local, group);
    await put(
      local,
      `${net}/subnets/two`,
      subnet({ addressPrefix: '10.0.2.0/24', networkSecurityGroup: { id: local.resource(group) } }),
    );
    return remove(local, group);
  },
  'Networks: privateLinkNotFound': async (local) => {
    await network(local);
    return endpoint(local, 'main', local.server('absent'));
  },
  'Networks: subnetIsFull': async (local) => {
    await network(local);
    await local.create('main');
    // Every address that the subnet has.
    for (let host = 4; host < 250; host += 1)
      local.azure.state.put(local.resource(`Microsoft.Network/privateEndpoints/taken-${host}`), {
        properties: { customDnsConfigs: [{ ipAddresses: [`10.0.1.${host}`] }] },
      });
    return endpoint(local, 'main', local.server('main'));
  },
  'Networks: zoneOfGroupNotFound': async (local) => {
    await network(local);
    await local.create('main');
    await endpoint(local, 'main', local.server('main'));
    return put(local, 'Microsoft.Network/privateEndpoints/main/privateDnsZoneGroups/default', {
      location: undefined,
      properties: {
        privateDnsZoneConfigs: [{ name: 'one', properties: { privateDnsZoneId: local.resource(zone) } }],
      },
    });
  },
  'Networks: zoneHasLinks': async (local) => {
    await network(local);
    await put(local, zone, { location: 'global' });
    await link(local, 'one');
    return remove(local, zone);
  },
  'Networks: linkedNetworkNotFound': async (local) => {
    await put(local, zone, { location: 'global' });
    return link(local, 'one');
  },
  'Networks: overlappingZones': async (local) => {
    await network(local);
    await local.client.arm('PUT', `${local.group}-two`, { location: 'eastus' });
    const other = `${local.group}-two/providers/${zone}`;
    await local.client.done('PUT', other, { location: 'global' });
    await local.client.done('PUT', `${other}/virtualNetworkLinks/one`, {
      location: 'global',
      properties: { virtualNetwork: { id: local.resource(net) }, registrationEnabled: false },
    });
    await put(local, zone, { location: 'global' });
    return link(local, 'one');
  },
  'Networks: linkedTwice': async (local) => {
    await network(local);
    await put(local, zone, { location: 'global' });
    await link(local, 'one');
    return link(local, 'two');
  },
};

function link(local: Parameters<(typeof networkRows)[string]>[0], name: string) {
  return put(local, `${zone}/virtualNetworkLinks/${name}`, {
    location: 'global',
    properties: { virtualNetwork: { id: local.resource(net) }, registrationEnabled: false },
  });
}
