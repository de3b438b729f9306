/** The order in which a pair restarts, so that the standby can follow its writer at every moment. */
import { parametersInheritedByStandby } from '../azure/parameters.ts';
import { otherRole, type ServerRole } from '../azure/vocabulary.ts';
import { Fault } from '../core/fault.ts';
import type { Deployment } from './deployment.ts';

export interface PendingParameter {
  readonly name: string;
  /** Value in force, in the parameter's own unit. */
  readonly current: string;
}

interface Restarting {
  readonly which: ServerRole;
  readonly parameters: readonly PendingParameter[];
}

/** Limits that a standby must have at least as high as its writer, and how each changes. */
function limitChanges(
  servers: readonly Pick<Restarting, 'parameters'>[],
  deployment: Pick<Deployment, 'parameters'> | undefined,
) {
  return servers
    .flatMap(({ parameters }) => parameters)
    .filter(({ name }) => parametersInheritedByStandby.includes(name))
    .map(({ name, current }) => ({
      name,
      by: Number(deployment?.parameters[name] ?? current) - Number(current),
    }));
}

/** @throws Fault if the writer would restart with a higher limit than a standby that nobody could ask */
export function refuseUnknownStandby(
  {
    servers,
    standby,
    unknown,
  }: {
    readonly unknown?: string;
    readonly servers: readonly Pick<Restarting, 'parameters'>[];
    readonly standby?: { readonly host: string } | undefined;
  },
  deployment: Pick<Deployment, 'parameters'> | undefined,
): void {
  const rising = limitChanges(servers, deployment).filter(({ by }) => by > 0);
  if (unknown === undefined || rising.length === 0) return;
  throw new Fault(
    'restart/standby-unknown',
    `The writer is not restarted for ${names(rising)}`,
    `replica ${standby?.host} could not be inspected (${unknown}), and it stops replaying if its writer gets a higher limit first (hot standby)`,
    'Give this machine access to the replica and deploy again.',
  );
}

/**
 * The order of restarts: the standby first if an inherited limit rises, the writer first if one falls. After a switchover,
 * the standby is the server that the settings call the primary.
 *
 * @throws Fault if some limits rise and others fall, on two servers
 */
export function inOrder<Server extends Pick<Restarting, 'which' | 'parameters'>>(
  pending: readonly Server[],
  deployment: Pick<Deployment, 'parameters' | 'writer'> | undefined,
): readonly Server[] {
  const changes = limitChanges(pending, deployment);
  const rising = changes.filter(({ by }) => by > 0);
  const falling = changes.filter(({ by }) => by < 0);
  if (pending.length > 1 && rising.length > 0 && falling.length > 0) {
    throw new Fault(
      'restart/limits-rise-and-fall',
      `One restart cannot apply both ${names(rising)} and ${names(falling)}`,
      'a rising limit must reach the standby first, a falling one the writer first (hot standby)',
      'Deploy the rising limits alone, then the falling ones.',
    );
  }
  const writer = deployment?.writer ?? 'primary';
  const follower = otherRole(writer);
  const first = rising.length > 0 ? follower : writer;
  return [...pending].sort((a, b) => Number(b.which === first) - Number(a.which === first));
}

export function names(parameters: readonly { readonly name: string }[]): string {
  // Two servers can wait for the same parameter.
  return [...new Set(parameters.map(({ name }) => name))].join(', ');
}
