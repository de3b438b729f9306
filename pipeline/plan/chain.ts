/** The operations of an apply in the order in which Terraform can run them. */

import { isPostDeploy } from './context.ts';
import { blockOf, type PlanFacts, type ResourceChange } from './facts.ts';
import { type Impact, worstOf } from './impacts.ts';
import type { Verdict } from './judge.ts';
import type { Range } from './table/row.ts';

export interface Operation {
  readonly address: string;
  readonly action: ResourceChange['action'];
  readonly impact: Impact;
  /** Seconds that Azure documents for its interruption. */
  readonly seconds?: Range;
  /** It is this project's post-deploy step. @default false */
  readonly isStep?: true;
  /** Words of the worst verdict. */
  readonly says?: string;
}

/** Destroyed resources first, the dependent ones before those that they need; then the others the other way round. */
export function chainOf(facts: PlanFacts, verdicts: readonly Verdict[]): readonly Operation[] {
  const place = placesOf(facts.needs);
  const at = ({ address }: ResourceChange) => place.get(blockOf(address)) ?? 0;
  const acting = facts.resources.filter(({ action, mode }) => mode === 'managed' && action !== 'nothing');
  const byAddress = new Map<string, Verdict[]>();
  const step = acting.find(isPostDeploy)?.address;
  for (const verdict of verdicts) {
    const address =
      step !== undefined && (verdict.later || verdict.type === 'migration') ? step : verdict.address;
    byAddress.set(address, [...(byAddress.get(address) ?? []), verdict]);
  }
  const ends = (one: ResourceChange) => Number(isPostDeploy(one));
  const removed = acting.filter(({ action }) => action === 'delete').sort((a, b) => at(b) - at(a));
  const others = acting
    .filter(({ action }) => action !== 'delete')
    .sort((a, b) => ends(a) - ends(b) || at(a) - at(b));
  return [...removed, ...others].map((change) => operation(change, byAddress.get(change.address) ?? []));
}

function operation(change: ResourceChange, verdicts: readonly Verdict[]): Operation {
  const { address, action } = change;
  const [worst] = verdicts;
  const timed = verdicts.find(({ seconds }) => seconds !== undefined);
  return {
    address,
    action,
    impact: worstOf(verdicts.map(({ impact }) => impact)),
    ...(timed?.seconds ? { seconds: timed.seconds } : {}),
    ...(isPostDeploy(change) ? { isStep: true as const } : {}),
    ...(worst ? { says: worst.says } : {}),
  };
}

/** Position of each block in an order in which it comes after everything that it needs. */
function placesOf(needs: PlanFacts['needs']): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  const entered = new Set<string>();
  for (const root of needs.keys()) {
    const open: { readonly block: string; readonly left: Iterator<string> }[] = [];
    const enter = (block: string) => {
      if (entered.has(block) || !needs.has(block)) return;
      entered.add(block);
      open.push({ block, left: (needs.get(block) ?? []).values() });
    };
    enter(root);
    for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
      const { done, value } = top.left.next();
      if (!done) enter(value);
      else {
        places.set(top.block, places.size);
        open.pop();
      }
    }
  }
  return places;
}
