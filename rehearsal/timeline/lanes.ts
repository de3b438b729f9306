/** Which lane of a timeline a resource of Azure belongs to. */

export interface Place {
  /** What belongs together: a server by its name, the network, monitoring. */
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

/** By the last type in an id, which is what is changed; the first that fits. */
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

/** The order in which groups are read, from what everything stands on to what comes last; servers are between. */
export const groupOrder = ['Runs', 'Resource groups', 'Network', 'Key Vault', 'Monitoring', 'Protection'];

export function placeOf(target: string): Place {
  const id = target.toLowerCase();
  for (const [pattern, group, lane] of others) if (pattern.test(id)) return { group, lane };
  const [, name, child] = server.exec(target) ?? [];
  if (name === undefined) return { group: 'Resource groups', lane: 'groups' };
  return { group: name, lane: child === undefined ? 'server' : (serverLanes[child.toLowerCase()] ?? child) };
}
