/** The controls of the evidence pack that a plan turns from passed to failed, in the auditor's words. */
import { isObject, type Json, type JsonObject, textAt } from '../../core/json.ts';
import { controls } from '../evidence/catalogue/index.ts';
import type { Control } from '../evidence/control.ts';
import { type Expectation, type Place, pointerOf, type Stack } from '../evidence/stack.ts';
import type { PlanFacts, ResourceChange } from './facts.ts';
import type { Impact } from './impacts.ts';
import type { Verdict } from './judge.ts';
import { own } from './values.ts';

type Side = 'before' | 'after';

/** Stands for a value that is known only after the apply. It differs from every value that a control requires. */
const unknownValue = '(known after apply)';

/** Adds to each verdict the controls that its change fails. */
export function withControls(facts: PlanFacts, verdicts: readonly Verdict[]): readonly Verdict[] {
  const changed = new Map(
    facts.resources
      .filter(({ mode, action, isDeposed }) => mode === 'managed' && action !== 'nothing' && !isDeposed)
      .map((change) => [pointerOf(['resource', change.type, change.address]), change]),
  );
  if (changed.size === 0 || verdicts.length === 0) return verdicts;
  const [before, after] = [stackOf(facts, 'before'), stackOf(facts, 'after')];
  const failures = controls.flatMap((control) =>
    control.stack.flatMap((expectation) =>
      failedPlaces(expectation, before, after, changed).map((failed) => ({ control, ...failed })),
    ),
  );
  const byAddress = new Map<string, Verdict[]>();
  for (const verdict of verdicts) {
    const others = byAddress.get(verdict.address);
    if (others) others.push(verdict);
    else byAddress.set(verdict.address, [verdict]);
  }
  const names = new Map<Verdict, Set<string>>();
  for (const { control, ...failed } of failures) {
    const own = (byAddress.get(failed.address) ?? []).filter((verdict) => concerns(verdict, failed));
    // Of several verdicts about one attribute, such as a lost standby and its cost, the one about the control.
    const verdict = own.find(({ impact }) => lessened.includes(impact)) ?? own[0];
    if (verdict) names.set(verdict, (names.get(verdict) ?? new Set()).add(nameOf(control)));
  }
  return verdicts.map((verdict) => {
    const found = names.get(verdict);
    return found ? { ...verdict, controls: [...found, ...(verdict.controls ?? [])] } : verdict;
  });
}

const lessened: readonly Impact[] = ['data-loss', 'security-weakened', 'recovery-weakened'];

const concerns = (verdict: Verdict, { attribute }: Failed) =>
  verdict.attribute === undefined || attribute === '' || isWithin(verdict.attribute, attribute);

const nameOf = ({ id, title }: Control) => `${id} ${title}`;

const isWithin = (one: string, other: string) =>
  one === other || one.startsWith(`${other}.`) || other.startsWith(`${one}.`);

interface Failed {
  readonly address: string;
  /** `authentication.password_auth_enabled`; empty for the whole resource. */
  readonly attribute: string;
}

/** Places of changed resources that hold before and not afterwards. */
function failedPlaces(
  { find, holds, ifNone }: Expectation,
  before: Stack,
  after: Stack,
  changed: ReadonlyMap<string, ResourceChange>,
): Failed[] {
  const passed = find(before);
  // A control that failed before, or that concerned nothing, is not turned into a failed one.
  if (!(passed.length === 0 ? ifNone === 'holds' : passed.every(({ value }) => holds(value)))) return [];
  const held = new Map(passed.map((place) => [resourceOf(place), place]));
  const failing = find(after).filter(({ value }) => !holds(value) && value !== unknownValue);
  return [
    ...failing.flatMap((place) => {
      const change = changed.get(resourceOf(place));
      // Nothing is there: the resource that was there says why, if the plan removes it.
      return change && (place.value !== undefined || held.has(resourceOf(place)))
        ? [failedAt(place, change)]
        : [];
    }),
    ...[...held.values()].flatMap((place) => {
      const change = changed.get(resourceOf(place));
      const isMissed = ifNone === 'violated' || failing.some(({ value }) => value === undefined);
      return change?.action === 'delete' && isMissed ? [failedAt(place, change)] : [];
    }),
  ];
}

const resourceOf = ({ pointer }: Place) => pointer.split('/').slice(0, 4).join('/');

function failedAt({ pointer }: Place, { address }: ResourceChange): Failed {
  const path = pointer.split('/').slice(4);
  return { address, attribute: path.filter((step) => !/^\d+$/.test(step)).join('.') };
}

/** The resources of one side as a synthesized stack has them: references in place of ids, blocks in place of lists of one. */
function stackOf({ resources }: PlanFacts, side: Side): Stack {
  const there = resources.filter(
    ({ mode, isDeposed, action }) =>
      mode === 'managed' && !isDeposed && action !== (side === 'before' ? 'create' : 'delete'),
  );
  const references = new Map<string, string>();
  for (const { type, address, before, after } of there)
    for (const id of [textAt(before, 'id'), textAt(after, 'id')])
      if (id !== undefined) references.set(id.toLowerCase(), `\${${type}.${address}.id}`);
  const resource: Record<string, JsonObject> = {};
  for (const one of there) {
    const values = side === 'before' ? one.before : withUnknown(one.after, one.unknown, one.before);
    resource[one.type] ??= {};
    const block = asBlock(values, references);
    // A plan does not show it, so it cannot change here.
    if (isObject(block)) (resource[one.type] ?? {})[one.address] = block;
  }
  return { document: { resource } };
}

/** The known values, and at unknown places the values before, or a mark. */
function withUnknown(
  value: Json | undefined,
  unknown: Json | undefined,
  before: Json | undefined,
): JsonObject {
  const known = isObject(value) ? value : {};
  if (!isObject(unknown)) return known;
  const marked = Object.entries(unknown).flatMap(([name, mask]) =>
    mask === true ? [[name, own(isObject(before) ? before : {}, name) ?? unknownValue] as const] : [],
  );
  return { ...known, ...Object.fromEntries(marked) };
}

function asBlock(value: Json, references: ReadonlyMap<string, string>): Json {
  if (typeof value === 'string') return references.get(value.toLowerCase()) ?? value;
  if (Array.isArray(value)) {
    const [only] = value;
    if (value.length === 1 && isObject(only)) return asBlock(only, references);
    return value.map((one) => asBlock(one, references));
  }
  if (!isObject(value)) return value;
  // An attribute without a value is null or empty in a plan, and absent in a stack.
  const entries = Object.entries(value).flatMap(([name, one]) =>
    one === undefined || one === null || name === 'id' || (Array.isArray(one) && one.length === 0)
      ? []
      : [[name, asBlock(one, references)] as const],
  );
  return Object.fromEntries(entries);
}
