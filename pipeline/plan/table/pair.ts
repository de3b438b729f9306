/**
 * The order in which a pair changes: at no moment may the primary exceed its replica.
 * https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas, "Scale"
 */
import type { Context, ServerFacts, Side } from '../context.ts';
import type { Judgement } from './row.ts';

interface Pair {
  readonly primary: ServerFacts;
  readonly replica: ServerFacts;
}

/** Pairs of which the server is a part, reported at its primary, so that each is reported once. */
function pairsOf(server: ServerFacts, context: Context): readonly Pair[] {
  const primary = context.primaryOf(server);
  // If both change, the primary reports.
  if (primary) return primary.change.action === 'update' ? [] : [{ primary, replica: server }];
  return context.replicasOf(server).map((replica) => ({ primary: server, replica }));
}

const stays = (server: ServerFacts) => ['nothing', 'update'].includes(server.change.action);

/** Whether a fits under b; undefined if it cannot be said. */
type Fits = (primary: ServerFacts, a: Side, replica: ServerFacts, b: Side) => boolean | undefined;

/** Judges the states between the two updates, by the order in which Terraform makes them. */
function ordered(
  server: ServerFacts,
  context: Context,
  fits: Fits,
  rule: string,
  texts: readonly [up: string, down: string],
): Judgement[] {
  return pairsOf(server, context).flatMap(({ primary, replica }): Judgement[] => {
    if (!stays(primary) || !stays(replica)) return [];
    if (fits(primary, 'after', replica, 'after') === false)
      return [{ impact: 'refused-by-azure', says: `${rule}: ${primary.name} would exceed ${replica.name}` }];
    const primaryFirst = fits(primary, 'after', replica, 'before') === false;
    const replicaFirst = fits(primary, 'before', replica, 'after') === false;
    if (!primaryFirst && !replicaFirst) return [];
    const order = context.order(primary.change, replica.change);
    const wrong = primaryFirst ? 'first' : 'second';
    const says = `${rule}: ${primaryFirst ? texts[0] : texts[1]}`;
    if (order === wrong)
      return [{ impact: 'refused-by-azure', says: `${says}, and this plan changes them in the other order` }];
    if (order === 'none')
      return [
        {
          impact: 'refused-by-azure',
          says: `${says}, and this plan sets no order`,
          when: 'Terraform begins with the wrong one',
        },
      ];
    return [];
  });
}

const up = 'the replica changes first';
const down = 'the primary changes first';

export function sizeOrder(server: ServerFacts, context: Context): Judgement[] {
  const fits: Fits = (primary, a, replica, b) => {
    const [one, other] = [primary.sku(a), replica.sku(b)];
    return one && other ? one.vCores <= other.vCores && one.memoryGb <= other.memoryGb : undefined;
  };
  return ordered(server, context, fits, 'a replica has at least the vCores and memory of its primary', [
    up,
    down,
  ]);
}

export function diskOrder(server: ServerFacts, context: Context): Judgement[] {
  const fits: Fits = (primary, a, replica, b) => {
    const [one, other] = [primary.storageGb(a), replica.storageGb(b)];
    return one === undefined || other === undefined ? undefined : one <= other;
  };
  return ordered(server, context, fits, 'a replica has at least the disk of its primary', [up, down]);
}

export function autoGrowOrder(server: ServerFacts, context: Context): Judgement[] {
  const fits: Fits = (primary, a, replica, b) =>
    !primary.isOn(a, 'auto_grow_enabled') || replica.isOn(b, 'auto_grow_enabled');
  return ordered(server, context, fits, 'a replica has auto-grow while its primary has it', [up, down]);
}
