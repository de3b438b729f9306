/** Rows about server parameters. Static ones come from the catalogue of parameters. */
import { isStatic, parameter, parametersInheritedByStandby, refusal } from '../../../azure/parameters.ts';
import { effectOf } from '../../../azure/postgresql-settings.ts';
import { Fault } from '../../../core/fault.ts';
import { textAt } from '../../../core/json.ts';
import { inOrder } from '../../../database/restart-order.ts';
import { type Context, parameterType, type ServerFacts } from '../context.ts';
import type { ResourceChange } from '../facts.ts';
import { shown } from '../values.ts';
import { lost, parameterControls, parameterEffects } from './parameter-controls.ts';
import { type About, fateOf, type Judgement, type Row, sources } from './row.ts';

function own<Value>(table: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** Name of the parameter. */
const nameOf = (change: ResourceChange) =>
  textAt(change.after, 'name') ?? textAt(change.before, 'name') ?? '';

/** Value before and after; Azure's default stands for a parameter that the plan does not set. */
function valuesOf({ change, attribute }: About): {
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly isUnknown: boolean;
} {
  const byDefault = parameter(nameOf(change))?.default;
  const isUnknown = attribute.isUnknown;
  return {
    before: textAt(change.before, 'value') ?? byDefault,
    after: textAt(change.after, 'value') ?? (isUnknown ? undefined : byDefault),
    isUnknown,
  };
}

function judge(about: About): Judgement[] {
  const { change, server } = about;
  const fate = fateOf(server);
  if (fate) return [fate];
  const name = nameOf(change);
  const { before, after, isUnknown } = valuesOf(about);
  const found: Judgement[] = [];
  const control = own(parameterControls, name);
  if (control && (isUnknown || control.weakens(before, after)))
    found.push({
      impact: control.impact,
      says: control.says,
      ...(control.controls ? { controls: control.controls } : {}),
    });
  const effect = isUnknown ? undefined : own(parameterEffects, name)?.(before, after);
  if (effect) found.push(effect);
  if (name === 'azure.extensions') {
    const gone = lost(before, after);
    if (gone.length > 0 && !isUnknown)
      found.push({
        impact: 'online',
        says: `${gone.join(', ')} can no longer be created; Azure refuses the change while one is installed`,
      });
  }
  const known = parameter(name);
  const refused =
    known && known.apply !== 'read-only' && after !== undefined && change.action !== 'delete'
      ? refusal(known, name, after)
      : undefined;
  if (refused !== undefined)
    found.push({ impact: 'refused-by-azure', says: `Azure refuses the value: it ${refused}` });
  if (name === 'pgbouncer.enabled' && after === 'true' && server?.isBurstable('after'))
    found.push({ impact: 'refused-by-azure', says: 'a Burstable server has no built-in PgBouncer' });
  return [...found, ...(server ? limits(about, server) : []), inForce(about, name)];
}

/** When the value takes effect. */
function inForce({ context, change }: About, name: string): Judgement {
  const known = parameter(name);
  if (known?.apply === 'read-only')
    return { impact: 'refused-by-azure', says: `${name} is read-only: only Azure sets it` };
  const effect = known ? (isStatic(name) ? 'restart' : 'online') : effectOf(name);
  if (effect === undefined)
    return {
      impact: 'unknown',
      says: `${name} is in no catalogue: the change may wait for a restart or make one`,
    };
  const set = change.action === 'create' ? ` = ${shown(change.after['value'])}` : '';
  if (effect === 'online')
    return { impact: 'online', says: `${name}${set} takes effect at once, in new sessions at the latest` };
  const is = `${name}${set} is static`;
  if (context.facts.restartsForParameters)
    return {
      impact: 'restart',
      says: `${is}: the provider restarts the server at once, for this parameter alone`,
    };
  if (context.postDeploy)
    return {
      impact: 'restart',
      says: `${is}: the post-deploy step restarts the server once for all such parameters`,
      later: true,
    };
  return { impact: 'online', says: `${is}: it waits for the next restart, which this plan does not make` };
}

/** Limits that a standby needs at least as high as its primary has them. */
function limits({ change, context, attribute }: About, server: ServerFacts): Judgement[] {
  const name = nameOf(change);
  if (!parametersInheritedByStandby.includes(name)) return [];
  return context.partnersOf(server).flatMap((partner): Judgement[] => {
    const other = context.childrenOf(partner, parameterType).find((one) => nameOf(one) === name);
    const [primary, replica] = context.primaryOf(server) === partner ? [other, change] : [change, other];
    // The pair is reported once, at its primary if that changes.
    if (primary && primary !== change && primary.action !== 'nothing') return [];
    const rule = `a replica has at least the ${name} of its primary`;
    if (attribute.isUnknown)
      return [{ impact: 'refused-by-azure', says: rule, when: 'the value is too high for the replica' }];
    const value = (one: ResourceChange | undefined, side: 'before' | 'after') => {
      const text = one && textAt(one[side], 'value');
      return Number(text ?? parameter(name)?.default ?? Number.NaN);
    };
    const [was, is] = [value(primary, 'before'), value(primary, 'after')];
    const [had, has] = [value(replica, 'before'), value(replica, 'after')];
    if (is > has)
      return [
        { impact: 'refused-by-azure', says: `${rule}, and the primary would have ${is}, the replica ${has}` },
      ];
    if (!context.facts.restartsForParameters)
      return context.primaryOf(server) === partner
        ? restarts(partner, server, context)
        : restarts(server, partner, context);
    if (!primary || !replica) return [];
    const order = context.order(primary, replica);
    const wrong = is > had ? 'first' : was > has ? 'second' : undefined;
    if (wrong === undefined || (order !== wrong && order !== 'none')) return [];
    return [
      {
        impact: 'refused-by-azure',
        says: `${rule}: ${wrong === 'first' ? 'the replica rises first' : 'the primary falls first'}, and this plan ${order === 'none' ? 'sets no order' : 'changes them in the other order'}`,
        ...(order === 'none' ? { when: 'Terraform begins with the wrong one' } : {}),
      },
    ];
  });
}

/** Whether the post-deploy step finds an order for its restarts. */
function restarts(primary: ServerFacts, replica: ServerFacts, context: Context): Judgement[] {
  const parameters: Record<string, string> = {};
  const pending = (['primary', 'replica'] as const).map((which) => ({
    which,
    parameters: context
      .childrenOf(which === 'primary' ? primary : replica, parameterType)
      .filter(({ action }) => action === 'update' || action === 'create')
      .map((change) => {
        const name = nameOf(change);
        parameters[name] ??= textAt(change.after, 'value') ?? '';
        return { name, current: textAt(change.before, 'value') ?? parameter(name)?.default ?? '' };
      }),
  }));
  try {
    inOrder(
      pending.filter((one) => one.parameters.length > 0),
      { parameters, writer: 'primary' },
    );
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [{ impact: 'refused-by-azure', says: `the post-deploy step refuses it: ${error.why}` }];
  }
}

const row = (id: string, on: Row['on']): Row => ({
  id: `parameter/${id}`,
  type: parameterType,
  on,
  source: sources.parameters,
  judge,
});

export const parameterRows: readonly Row[] = [
  row('value', ['value']),
  row('set', 'create'),
  row('reset', 'delete'),
  row('replaced', 'replace'),
];
