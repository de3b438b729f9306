/** Changes recorded plans at random: no crash, no hang, and no "nothing changes" about what was not understood. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { isObject, type Json } from '../../core/json.ts';
import { guard } from '../../pipeline/plan/guard.ts';
import { renderHtml } from '../../pipeline/plan/report/html.ts';
import { longestComment, renderComment } from '../../pipeline/plan/report/markdown.ts';
import { renderSarif } from '../../pipeline/plan/report/sarif.ts';
import { renderText } from '../../pipeline/plan/report/text.ts';
import { recordedFolder } from '../pipeline/plan/recording.ts';
import { Disproved, type Proved } from './proof.ts';
import type { Random } from './random.ts';

export interface PlansProof {
  readonly mutants: number;
  readonly random: Random;
  log(line: string): void;
}

/** Milliseconds that one plan may take. */
const slowest = 5000;

export async function provePlans({ mutants, random, log }: PlansProof): Promise<Proved> {
  const plans = readdirSync(recordedFolder).map((file) => readFileSync(join(recordedFolder, file), 'utf8'));
  const counts = { refused: 0, nothing: 0, changes: 0, guarded: 0 };
  for (let number = 1; number <= mutants; number += 1) {
    const plan: Json = JSON.parse(plans[random.below(plans.length)] ?? '{}');
    const steps: string[] = [];
    for (let step = 0; step <= random.below(2); step += 1) steps.push(mutate(plan, random));
    const text = JSON.stringify(plan);
    const start = performance.now();
    const status = judged(text, steps);
    if (performance.now() - start > slowest)
      throw new Disproved(`the guard needs more than ${slowest} ms for ${steps.join('; ')}`);
    if (status === 0) {
      counts.nothing += 1;
      if (stillChanges(plan))
        throw new Disproved(`the guard finds nothing in a plan with changes: ${steps.join('; ')}`);
    } else if (status === 1) counts.refused += 1;
    else if (status === 2) counts.changes += 1;
    else counts.guarded += 1;
    if (number % 2000 === 0) log(`${number} plans`);
  }
  return {
    summary: `${mutants} changed plans: ${counts.refused} refused as unreadable, ${counts.guarded} refused for their changes, ${counts.changes} with changes, ${counts.nothing} with nothing`,
  };
}

function judged(text: string, steps: readonly string[]): number {
  try {
    const report = guard(text, {
      environment: 'production',
      isProtected: true,
      waivers: [],
      now: new Date(0),
    });
    renderText(report);
    renderHtml(report);
    renderSarif(report);
    if (renderComment(report).length > longestComment)
      throw new Disproved(`the comment is too long: ${steps.join('; ')}`);
    return report.exitCode;
  } catch (error) {
    if (error instanceof Fault) return 1;
    if (error instanceof Disproved) throw error;
    const stack = error instanceof Error ? error.stack : String(error);
    throw new Disproved(`the guard crashes after ${steps.join('; ')}: ${stack}`);
  }
}

/** Whether a resource still has another action than a no-op, or values that differ. */
function stillChanges(plan: Json): boolean {
  const list = isObject(plan) && Array.isArray(plan['resource_changes']) ? plan['resource_changes'] : [];
  return list.some((one) => {
    const change = isObject(one) && isObject(one['change']) ? one['change'] : {};
    const actions = Array.isArray(change['actions']) ? change['actions'].join() : '';
    return actions !== 'no-op';
  });
}

/** Changes the plan in place. @returns the change, in words */
function mutate(plan: Json, random: Random): string {
  const places = [...placesOf(plan, random)];
  const place = places[random.below(places.length)];
  if (!place) return 'nothing';
  const { parent, key } = place;
  const [name, value] = replacement(parent, key, random);
  const path = `${name} at ${String(key)}`;
  if (Array.isArray(parent)) {
    if (name === 'drop') parent.splice(Number(key), 1);
    else parent[Number(key)] = value;
  } else if (isObject(parent)) {
    if (name === 'drop') delete parent[key];
    else if (name === 'add') parent[`added_${random.below(1000)}`] = value;
    else parent[key] = value;
  }
  return path;
}

interface Place {
  readonly parent: Json;
  readonly key: string | number;
}

/** A random walk from the root to a value. */
function* placesOf(plan: Json, random: Random): Generator<Place> {
  for (let walk = 0; walk < 4; walk += 1) {
    let parent: Json = plan;
    for (let depth = 1 + random.below(8); ; depth -= 1) {
      const keys: (string | number)[] = Array.isArray(parent)
        ? [...parent.keys()]
        : isObject(parent)
          ? Object.keys(parent)
          : [];
      const key = keys[random.below(Math.max(1, keys.length))];
      if (key === undefined) break;
      const next: Json | undefined = Array.isArray(parent)
        ? parent[Number(key)]
        : isObject(parent)
          ? parent[key]
          : undefined;
      if (depth <= 0 || typeof next !== 'object' || next === null) {
        yield { parent, key };
        break;
      }
      parent = next;
    }
  }
}

function replacement(parent: Json, key: string | number, random: Random): readonly [string, Json] {
  const deep = (levels: number): Json => {
    let value: Json = 1;
    for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
    return value;
  };
  const own: Json = isObject(parent) ? (parent[key] ?? null) : null;
  const choices: readonly (readonly [string, Json])[] = [
    ['drop', null],
    ['add', 'unknown'],
    ['null', null],
    ['a text', 'a`@<script>\u202e|'],
    ['a number', -1.5e300],
    ['true', true],
    ['an empty list', []],
    ['an empty object', {}],
    ['a huge text', 'x'.repeat(20_000)],
    [
      'many',
      Array.from({ length: Math.ceil(2_000_000 / (10_000 + JSON.stringify(own).length)) }, () =>
        structuredClone(own),
      ),
    ],
    ['deep', deep(150)],
    ['too deep', deep(1000)],
    ['a prototype', JSON.parse('{"__proto__": {"actions": ["no-op"]}, "constructor": 1}')],
    ['another action', ['no-op', 'delete', 'forget', 'toString'][random.below(4)] ?? ''],
    ['other actions', [['no-op'], ['delete'], ['create', 'delete'], ['read']][random.below(4)] ?? []],
  ];
  return choices[random.below(choices.length)] ?? ['null', null];
}
