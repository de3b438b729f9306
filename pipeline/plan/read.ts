/** Reads `terraform show -json` of a plan, and refuses whatever the guard could not judge. */

import { Fault, type FaultCode } from '../../core/fault.ts';
import {
  at,
  isObject,
  type Json,
  type JsonObject,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
} from '../../core/json.ts';
import { type Action, blockOf, type PlanFacts, type ResourceChange } from './facts.ts';
import {
  changeKeys,
  knownKeys,
  type PlanDocument,
  planShape,
  type ResourceDocument,
  resourceKeys,
  unjudgedKeys,
} from './shape.ts';
import { changesOf, collectMasked, equal, hasTrue, own } from './values.ts';

/** Characters of a document. */
const longest = 150_000_000;

/** Levels of nesting. Terraform's own documents stay far below. */
const deepest = 200;

const actionsBySteps: Readonly<Record<string, Action>> = {
  'no-op': 'nothing',
  create: 'create',
  read: 'read',
  update: 'update',
  delete: 'delete',
  'delete,create': 'replace',
  'create,delete': 'replace',
};

/**
 * The facts of a plan.
 *
 * @param kind `refresh` for a plan that only compares: it lists the resources that differ, and no others. @default 'plan'
 * @throws Fault `plan/…` for a document that is not a plan, or a plan that the guard does not judge whole
 */
export function readPlan(text: string, kind: 'plan' | 'refresh' = 'plan'): PlanFacts {
  const document = parsed(text);
  refuseUnknownKeys(document);
  const shape = planShape.safeParse(document);
  if (!shape.success) {
    const [issue] = shape.error.issues;
    const path = issue?.path.map(String).join('.') || 'the document';
    throw refuse(
      'plan/shape-unknown',
      `The plan has another shape at ${path}`,
      issue?.message ?? 'it is not a plan',
      'Give the output of terraform show -json of a plan by Terraform 1.11 to 1.16.',
    );
  }
  const plan = shape.data;
  refuseVersion(plan);
  refuseUnfinished(plan, document);
  const resources = (plan.resource_changes ?? []).map((one) => changeOf(one));
  const facts: PlanFacts = {
    terraformVersion: plan.terraform_version,
    resources,
    drift: (plan.resource_drift ?? []).map((one) => changeOf(one)),
    outputs: changedOutputs(plan),
    openChecks: openChecks(plan),
    warnings: warnings(plan),
    providers: [...new Set(resources.map(({ provider }) => provider))].sort(),
    secrets: secretsOf(document),
    restartsForParameters: restartsForParameters(document),
    needs: needsOf(objectAt(document, 'configuration', 'root_module')),
  };
  if (kind === 'plan') refuseContradictions(plan, document, facts);
  return facts;
}

function refuse(code: FaultCode, what: string, why: string, remedy: string): Fault {
  return new Fault(code, what, why, remedy);
}

function parsed(text: string): JsonObject {
  if (text.length > longest) {
    throw refuse(
      'plan/too-large',
      'The plan is too large',
      `it has ${text.length} characters, and a plan of 10,000 resources has fewer than ${longest}`,
      'Split the stack, or review the plan by hand.',
    );
  }
  let document: Json;
  try {
    document = JSON.parse(text);
  } catch {
    throw refuse(
      'plan/not-json',
      'The plan is not JSON',
      'a saved plan is binary until Terraform prints it',
      'Run terraform show -json <plan> and give its output.',
    );
  }
  if (!isObject(document) || !Object.hasOwn(document, 'terraform_version')) {
    throw refuse(
      'plan/not-a-plan',
      'The document is not a plan of Terraform',
      'it has no terraform_version',
      'Run terraform show -json <plan> and give its output.',
    );
  }
  if (depthOf(document) > deepest) {
    throw refuse(
      'plan/too-deep',
      'The plan is nested too deeply',
      `it has more than ${deepest} levels, and Terraform writes far fewer`,
      'Run terraform show -json <plan> again and give its output.',
    );
  }
  return document;
}

/** Without recursion, because the depth is what is in doubt. Ends once it is too deep. */
function depthOf(document: JsonObject): number {
  let level: Json[] = [document];
  let depth = 0;
  while (level.length > 0 && depth <= deepest) {
    const next: Json[] = [];
    for (const value of level)
      if (typeof value === 'object' && value !== null)
        for (const inner of Object.values(value))
          if (typeof inner === 'object' && inner !== null) next.push(inner);
    level = next;
    depth += 1;
  }
  return depth;
}

function refuseUnknownKeys(document: JsonObject): void {
  for (const key of unjudgedKeys) {
    const found = own(document, key);
    if (found === undefined || equal(found, undefined)) continue;
    throw refuse(
      'plan/actions-invoked',
      'The plan invokes actions of providers',
      `${key} is not empty, and an action changes Azure without a change of a resource`,
      'Apply the actions by hand after a review, or plan without them.',
    );
  }
  const names = Object.keys(document).filter((key) => ![...knownKeys, ...unjudgedKeys].includes(key));
  if (names.length > 0) throw unknownKey('the document', names);
}

function unknownKey(place: string, names: readonly string[]): Fault {
  return refuse(
    'plan/key-unknown',
    `The plan has an unknown key in ${place}`,
    `${names.slice(0, 3).join(', ')} may describe a change that the guard does not see`,
    'Plan with Terraform 1.11 to 1.16, or teach the guard the key (pipeline/plan/shape.ts).',
  );
}

function refuseVersion({ format_version: format, terraform_version: version }: PlanDocument): void {
  const minor = Number(/^1\.(\d+)\.\d+/.exec(version)?.[1]);
  if (/^1\.[0-2]$/.test(format) && minor >= 11 && minor <= 16) return;
  throw refuse(
    'plan/version-unknown',
    `The plan has format ${format} of Terraform ${version}`,
    'the guard knows format 1.2 of Terraform 1.11 to 1.16',
    'Plan with one of these versions.',
  );
}

function refuseUnfinished(plan: PlanDocument, document: JsonObject): void {
  if (plan.errored) {
    throw refuse(
      'plan/errored',
      'The plan failed',
      'errored is true, so it lists only some of the changes',
      'Correct the errors that terraform plan prints.',
    );
  }
  if (!equal(own(document, 'deferred_changes'), undefined)) {
    throw refuse(
      'plan/deferred',
      'The plan defers changes',
      'deferred changes are decided only after this apply',
      'Plan without deferred actions.',
    );
  }
  if (!plan.complete) {
    throw refuse(
      'plan/incomplete',
      'The plan is not complete',
      'complete is false: it was limited with -target, or leaves changes for a later plan',
      'Plan the whole stack.',
    );
  }
  for (const check of plan.checks ?? []) {
    const { status, address, instances = [] } = check;
    if (isWarning(check)) continue;
    if (
      ['pass', 'unknown'].includes(status) &&
      instances.every((one) => ['pass', 'unknown'].includes(one.status))
    )
      continue;
    const message = instances.flatMap(({ problems = [] }) => problems.map((one) => one.message ?? ''))[0];
    throw refuse(
      'plan/check-failed',
      `The check of ${address.to_display} does not hold`,
      message || `its status is ${status}`,
      'Correct the configuration until the check passes.',
    );
  }
}

type CheckDocument = NonNullable<PlanDocument['checks']>[number];

/** A failed assertion of a `check` block: Terraform warns and applies all the same. A block in error judged nothing. */
function isWarning({ status, address, instances = [] }: CheckDocument): boolean {
  return (
    address.kind === 'check' &&
    status === 'fail' &&
    instances.every((one) => ['pass', 'fail', 'unknown'].includes(one.status))
  );
}

/** Longer messages are cut. In characters. */
const longestMessage = 600;

function warnings(plan: PlanDocument): PlanFacts['warnings'] {
  return (plan.checks ?? []).filter(isWarning).flatMap(({ address, instances = [] }) => {
    const messages = instances.flatMap(({ problems = [] }) =>
      problems.flatMap(({ message = '' }) => (message === '' ? [] : [message.slice(0, longestMessage)])),
    );
    const all = messages.length > 0 ? messages : ['its assertion does not hold'];
    return all.map((message) => ({ check: address.to_display, message }));
  });
}

function openChecks(plan: PlanDocument): string[] {
  return (plan.checks ?? [])
    .filter(
      ({ status, instances = [] }) =>
        status === 'unknown' || instances.some((one) => one.status === 'unknown'),
    )
    .map(({ address }) => address.to_display);
}

function changedOutputs({ output_changes: outputs = {} }: PlanDocument): string[] {
  return Object.entries(outputs).flatMap(([name, { actions }]) => {
    if (!Object.hasOwn(actionsBySteps, actions.join())) throw unknownAction(`output ${name}`, actions);
    return actionsBySteps[actions.join()] === 'nothing' ? [] : [name];
  });
}

function unknownAction(address: string, actions: readonly string[]): Fault {
  return refuse(
    'plan/action-unknown',
    `The plan has an unknown action for ${address}`,
    `the guard does not judge ${actions.join(' and ')}`,
    'Apply it by hand after a review. To forget a resource, use terraform state rm.',
  );
}

function changeOf(resource: ResourceDocument): ResourceChange {
  const { address, change } = resource;
  const unknownNames = [
    ...Object.keys(resource).filter((key) => !resourceKeys.includes(key)),
    ...Object.keys(change).filter((key) => !changeKeys.includes(key)),
  ];
  if (unknownNames.length > 0) throw unknownKey(address, unknownNames);
  const action = actionsBySteps[change.actions.join()];
  if (action === undefined || !Object.hasOwn(actionsBySteps, change.actions.join()) || resource.index_unknown)
    throw unknownAction(address, resource.index_unknown ? ['an unknown index'] : change.actions);
  const before = (change.before ?? {}) as JsonObject;
  const after = (change.after ?? {}) as JsonObject;
  const unknown = change.after_unknown as Json | undefined;
  const sensitive = {
    before: change.before_sensitive as Json | undefined,
    after: change.after_sensitive as Json | undefined,
  };
  const isBoth = ['update', 'replace', 'nothing'].includes(action);
  if (isBoth ? !change.before : false)
    throw contradiction(address, `it ${action}s a resource without a state`);
  if (action === 'delete' && change.after) throw contradiction(address, 'it deletes a resource that stays');
  if (['create', 'read'].includes(action) && change.before)
    throw contradiction(address, `it ${action}s a resource that exists`);
  if (action === 'nothing' && (!equal(before, after) || hasTrue(unknown)))
    throw contradiction(address, 'it changes values without an action');
  return {
    address,
    ...(resource.previous_address === undefined || resource.previous_address === address
      ? {}
      : { movedFrom: resource.previous_address }),
    mode: resource.mode,
    type: resource.type,
    provider: resource.provider_name,
    isDeposed: resource.deposed !== undefined,
    action,
    isImported: change.importing !== undefined,
    before,
    after,
    changed: ['update', 'replace'].includes(action) ? changesOf({ before, after, unknown, sensitive }) : [],
    replacedFor: (change.replace_paths ?? []).map((path) =>
      path.filter((step) => typeof step === 'string').join('.'),
    ),
    ...(resource.action_reason === undefined ? {} : { reason: resource.action_reason }),
    sensitive,
    unknown,
  };
}

function contradiction(address: string, why: string): Fault {
  return refuse(
    'plan/contradiction',
    `The plan contradicts itself at ${address}`,
    why,
    'Run terraform plan and terraform show -json again, and give the output unchanged.',
  );
}

/** A part of the document that somebody left out would hide a change. */
function refuseContradictions(plan: PlanDocument, document: JsonObject, facts: PlanFacts): void {
  const listed = new Set(facts.resources.map(({ address }) => address));
  for (const { movedFrom } of facts.resources) if (movedFrom !== undefined) listed.add(movedFrom);
  for (const part of [
    objectAt(document, 'planned_values', 'root_module'),
    objectAt(document, 'prior_state', 'values', 'root_module'),
  ]) {
    const lost = managedIn(part).find((address) => !listed.has(address));
    if (lost !== undefined)
      throw contradiction(lost, 'it is in the state or the result, and not in resource_changes');
  }
  const changes = facts.resources.some(isChange) || facts.outputs.length > 0;
  if (plan.applyable && !changes && facts.drift.length === 0)
    throw contradiction('applyable', 'it can be applied, and lists no change');
  if (!plan.applyable && changes) throw contradiction('applyable', 'it lists changes, and cannot be applied');
}

/** Values of outputs and variables that the plan calls sensitive. */
function secretsOf(document: JsonObject): string[] {
  const found = new Set<string>();
  for (const output of Object.values(objectAt(document, 'output_changes'))) {
    collectMasked(at(output, 'before'), at(output, 'before_sensitive'), found);
    collectMasked(at(output, 'after'), at(output, 'after_sensitive'), found);
  }
  const declared = objectAt(document, 'configuration', 'root_module', 'variables');
  for (const [name, variable] of Object.entries(objectAt(document, 'variables')))
    collectMasked(at(variable, 'value'), at(own(declared, name), 'sensitive'), found);
  return [...found];
}

/** Whether an apply does something about the resource: it acts, imports or moves. */
export function isChange({ action, isImported, movedFrom }: ResourceChange): boolean {
  return action !== 'nothing' || isImported || movedFrom !== undefined;
}

function managedIn(module: JsonObject): string[] {
  const own = objectsAt(module, 'resources').flatMap((one) =>
    one['mode'] === 'managed' ? [textAt(one, 'address') ?? 'a resource without an address'] : [],
  );
  return [...own, ...objectsAt(module, 'child_modules').flatMap(managedIn)];
}

function restartsForParameters(document: JsonObject): boolean {
  const providers = Object.values(objectAt(document, 'configuration', 'provider_config')).filter(
    (one) => at(one, 'name') === 'azurerm',
  );
  const feature = (one: Json | undefined) =>
    at(one, ...'expressions.features.0.postgresql_flexible_server.0'.split('.').map(numbered));
  // Several configurations of the provider: the server restarts if one of them does.
  return (
    providers.length === 0 ||
    providers.some(
      (one) => at(feature(one), 'restart_server_on_configuration_value_change', 'constant_value') !== false,
    )
  );
}

const numbered = (step: string) => (/^\d+$/.test(step) ? Number(step) : step);

/**
 * Dependencies of each block of the configuration, in its module. Variables and outputs of modules are blocks too, so that a
 * path leads from one module to another; the document has no locals.
 */
function needsOf(module: JsonObject, prefix = ''): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  const inModule = (names: Iterable<string>) => [...names].map((name) => `${prefix}${blockOf(name)}`);
  for (const one of objectsAt(module, 'resources')) {
    const address = textAt(one, 'address');
    if (address === undefined) continue;
    const references = referencesIn(one['expressions'], one['count_expression'], one['for_each_expression']);
    for (const name of textsAt(one, 'depends_on')) references.add(name);
    found.set(`${prefix}${address}`, inModule(references));
  }
  for (const [name, call] of Object.entries(objectAt(module, 'module_calls'))) {
    const inner = `${prefix}module.${name}.`;
    for (const [variable, expression] of Object.entries(objectAt(call, 'expressions')))
      found.set(`${inner}var.${variable}`, inModule(referencesIn(expression)));
    for (const [output, value] of Object.entries(objectAt(call, 'module', 'outputs')))
      found.set(
        `${inner}${output}`,
        [...referencesIn(value)].map((one) => `${inner}${blockOf(one)}`),
      );
    for (const [address, needs] of needsOf(objectAt(call, 'module'), inner)) found.set(address, needs);
  }
  return found;
}

function referencesIn(...values: readonly (Json | undefined)[]): Set<string> {
  const found = new Set<string>();
  for (const value of values) collectReferences(value, found);
  return found;
}

function collectReferences(value: Json | undefined, into: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectReferences(item, into);
  if (!isObject(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'references' && Array.isArray(inner)) {
      for (const name of inner) if (typeof name === 'string') into.add(name);
    } else collectReferences(inner, into);
  }
}
