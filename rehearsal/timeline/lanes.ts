/** Assigns each Azure resource to a lane of the timeline, as azure/resource-types.ts has it. */
import { typeOf } from '../../azure/resource-id.ts';
import { nearestResourceType } from '../../azure/resource-types.ts';

export interface Place {
  /** A server by its name, the network, monitoring and so on. */
  readonly group: string;
  readonly lane: string;
}

const server = /\/providers\/microsoft\.dbforpostgresql\/flexibleservers\/([^/]+)(?:\/([^/]+))?/i;

/** Groups in the order of dependencies. Servers come between Network and Monitoring. */
export const groupOrder = ['Runs', 'Resource groups', 'Network', 'Key Vault', 'Monitoring', 'Protection'];

const elsewhere: Place = { group: 'Resource groups', lane: 'groups' };

export function placeOf(target: string): Place {
  const lane = laneOf(typeOf(target));
  if (!lane) return elsewhere;
  if (lane.group !== undefined) return { group: lane.group, lane: lane.name };
  const [, name, child] = server.exec(target) ?? [];
  // An action on a server, such as a restart, has a lane of its own.
  const isAction = child !== undefined && lane.name === 'server';
  return name === undefined ? elsewhere : { group: name, lane: isAction ? child : lane.name };
}

function laneOf(type: string) {
  for (let name = type; name.includes('/'); name = name.slice(0, name.lastIndexOf('/'))) {
    const lane = nearestResourceType(name)?.lane;
    if (lane) return lane;
  }
  return undefined;
}
