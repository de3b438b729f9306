/** Assigns each Azure resource to a lane of the timeline. */

export interface Place {
  /** A server by its name, the network, monitoring and so on. */
  readonly group: string;
  readonly lane: string;
}

const server = /\/providers\/microsoft\.dbforpostgresql\/flexibleservers\/([^/]+)(?:\/([^/]+))?/i;

const serverLanes: Readonly<Record<string, string>> = {
  configurations: 'parameters',
  administrators: 'administrators',
  databases: 'database',
  virtualendpoints: 'virtual endpoint',
  firewallrules: 'firewall rules',
  restart: 'restart',
  backups: 'backups',
};

/** Patterns for an id, with group and lane. The first match counts. */
const others: readonly (readonly [RegExp, string, string])[] = [
  [/\/microsoft\.authorization\/locks\//, 'Protection', 'locks'],
  [/\/microsoft\.authorization\/roleassignments\//, 'Protection', 'role assignments'],
  [/\/microsoft\.dataprotection\//, 'Protection', 'long-term backup'],
  [/\/microsoft\.insights\/diagnosticsettings\//, 'Monitoring', 'diagnostic settings'],
  [/\/microsoft\.insights\/metricalerts\//, 'Monitoring', 'metric alerts'],
  [/\/microsoft\.insights\/activitylogalerts\//, 'Monitoring', 'activity alerts'],
  [/\/microsoft\.insights\/actiongroups\//, 'Monitoring', 'action group'],
  [/\/microsoft\.operationalinsights\//, 'Monitoring', 'workspace'],
  [/\/microsoft\.consumption\//, 'Monitoring', 'budget'],
  [/\/microsoft\.network\/privateendpoints\//, 'Network', 'private endpoints'],
  [/\/microsoft\.network\/privatednszones\//, 'Network', 'private DNS'],
  [/\/microsoft\.network\/networksecuritygroups\//, 'Network', 'security groups'],
  [/\/microsoft\.network\/virtualnetworks\//, 'Network', 'networks, subnets'],
  [/\/microsoft\.(?:keyvault|resources\/deployments)\//, 'Key Vault', 'vault, key'],
  [/\/microsoft\.managedidentity\//, 'Resource groups', 'identities'],
];

/** Groups in the order of dependencies. Servers come between Network and Monitoring. */
export const groupOrder = ['Runs', 'Resource groups', 'Network', 'Key Vault', 'Monitoring', 'Protection'];

export function placeOf(target: string): Place {
  const id = target.toLowerCase();
  for (const [pattern, group, lane] of others) if (pattern.test(id)) return { group, lane };
  const [, name, child] = server.exec(target) ?? [];
  if (name === undefined) return { group: 'Resource groups', lane: 'groups' };
  return { group: name, lane: child === undefined ? 'server' : (serverLanes[child.toLowerCase()] ?? child) };
}
