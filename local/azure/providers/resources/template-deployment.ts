/**
 * Template deployments with parameters, variables, dependencies, nested templates and references to resources.
 * https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax
 */

import { idKey, parentOf } from '../../../../azure/resource-id.ts';
import {
  at,
  isObject,
  type Json,
  type JsonObject,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
} from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { type ArmError, type AzureRequest, repeated } from '../../core/http.ts';
import { operationIdIn } from '../../core/polling.ts';
import { notPlayed } from '../../core/refusal.ts';
import { deployments } from '../../refusals/deployments.ts';

interface Scope {
  readonly azure: Azure;
  /** Id of the resource group, or of the subscription, that the template is deployed to. */
  readonly target: string;
  readonly parameters: JsonObject;
  readonly variables: JsonObject;
  /** Ids of the template's resources by their names. */
  readonly ids: Map<string, string>;
}

interface Planned {
  readonly id: string;
  readonly resource: JsonObject;
  readonly dependsOn: readonly string[];
}

/** Creates what a template describes, by way of the resource manager itself. @returns ids of its resources, and outputs */
export async function deployTemplate(
  azure: Azure,
  request: AzureRequest,
  properties: JsonObject,
): Promise<{ resources: string[]; outputs: JsonObject }> {
  const template = objectAt(properties, 'template');
  const target = parentOf(request.path);
  const scope: Scope = {
    azure,
    target,
    parameters: givenParameters(azure, target, template, objectAt(properties, 'parameters')),
    variables: objectAt(template, 'variables'),
    ids: new Map(),
  };
  const planned = inOrder(objectsAt(template, 'resources').map((resource) => plan(resource, scope)));
  for (const { id, resource } of planned) await create(id, resource, scope, request);
  const outputs = Object.entries(objectAt(template, 'outputs')).map(([name, output]): [string, Json] => [
    name,
    { type: textAt(output, 'type') ?? 'string', value: evaluate(at(output, 'value'), scope) },
  ]);
  return { resources: planned.map(({ id }) => id), outputs: Object.fromEntries(outputs) };
}

function plan(resource: JsonObject, scope: Scope): Planned {
  const { type, resourceGroup } = resource;
  const name = String(evaluate(resource['name'], scope));
  const above =
    resource['scope'] !== undefined
      ? String(evaluate(resource['scope'], scope))
      : resourceGroup !== undefined
        ? `${subscriptionOf(scope)}/resourceGroups/${String(evaluate(resourceGroup, scope))}`
        : scope.target;
  const id = withoutProvider(resourceId(above, String(type), name));
  scope.ids.set(name, id);
  const dependsOn = textsAt(resource, 'dependsOn').map((one) =>
    withoutProvider(String(evaluate(one, scope))),
  );
  return { id, resource, dependsOn };
}

/** Each resource after those that it depends on. @throws ArmError 400 if one of them is not in the template */
function inOrder(planned: readonly Planned[]): Planned[] {
  const ids = new Set(planned.map(({ id }) => idKey(id)));
  for (const { dependsOn } of planned)
    for (const other of dependsOn) if (!ids.has(idKey(other))) throw deployments.dependencyNotDefined(other);
  const left = [...planned];
  const ordered: Planned[] = [];
  const done = new Set<string>();
  while (left.length > 0) {
    const next = left.findIndex(({ dependsOn }) => dependsOn.every((one) => done.has(idKey(one))));
    const [one] = left.splice(next, 1);
    if (next < 0 || !one) throw deployments.dependenciesCircular();
    done.add(idKey(one.id));
    ordered.push(one);
  }
  return ordered;
}

async function create(id: string, resource: JsonObject, scope: Scope, request: AzureRequest): Promise<void> {
  const {
    type: _type,
    apiVersion,
    name: _name,
    dependsOn: _after,
    scope: _scope,
    resourceGroup: _group,
    ...body
  } = resource;
  const { azure } = scope;
  const answer = await azure.dispatch({
    ...request,
    method: 'PUT',
    path: id,
    query: new URLSearchParams({ 'api-version': String(apiVersion) }),
    body: Buffer.from(JSON.stringify(evaluatedBody(body, scope))),
  });
  if (answer.status >= 300) throw failure(answer.status, answer.body);
  const operation = operationIdIn(answer.headers?.['azure-asyncoperation']);
  const record = operation === undefined ? undefined : await azure.operations.wait(operation);
  if (record?.error) throw repeated(409, record.error);
}

/** The template of a nested deployment is evaluated by that deployment, if it asks for the scope `inner`. */
function evaluatedBody(body: JsonObject, scope: Scope): Json {
  const nested = at(body, 'properties', 'template');
  if (textAt(body, 'properties', 'expressionEvaluationOptions', 'scope') !== 'inner' || nested === undefined)
    return evaluate(body, scope);
  const { template: _template, ...properties } = objectAt(body, 'properties');
  const rest = evaluate({ ...body, properties }, scope);
  return { ...objectAt(rest), properties: { ...objectAt(rest, 'properties'), template: nested } };
}

function subscriptionOf({ azure }: Scope): string {
  return `/subscriptions/${azure.subscriptionId}`;
}

/** Templates write a resource group like a resource of its provider. */
function withoutProvider(id: string): string {
  return id.replace(/\/providers\/Microsoft\.Resources\/resourceGroups\//i, '/resourceGroups/');
}

function failure(status: number, body: Json | Buffer | undefined): ArmError {
  const answer = Buffer.isBuffer(body) ? undefined : body;
  return repeated(status, {
    code: textAt(answer, 'error', 'code') ?? 'DeploymentFailed',
    message: textAt(answer, 'error', 'message') ?? 'A resource of the template failed.',
  });
}

function givenParameters(azure: Azure, target: string, template: JsonObject, given: JsonObject): JsonObject {
  const defaults: Scope = { azure, target, parameters: {}, variables: {}, ids: new Map() };
  return Object.fromEntries(
    Object.entries(objectAt(template, 'parameters')).map(([name, declared]) => {
      const value = at(given, name, 'value') ?? evaluatedDefault(at(declared, 'defaultValue'), defaults);
      if (value === undefined) throw deployments.parameterNotGiven(name);
      return [name, value];
    }),
  );
}

function evaluatedDefault(value: Json | undefined, scope: Scope): Json | undefined {
  return value === undefined ? undefined : evaluate(value, scope);
}

/** `type` and `name` of a nested resource have as many segments each: vaults/keys and vault/key. */
function resourceId(above: string, type: string, name: string): string {
  const [namespace, ...types] = type.split('/');
  const names = name.split('/');
  return `${above}/providers/${namespace}/${types.map((one, index) => `${one}/${names[index]}`).join('/')}`;
}

function evaluate(value: Json | undefined, scope: Scope): Json {
  if (typeof value === 'string') return evaluateText(value, scope);
  if (Array.isArray(value)) return value.map((item) => evaluate(item, scope));
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, evaluate(item, scope)]));
  return value ?? null;
}

function evaluateText(value: string, scope: Scope): Json {
  if (value.startsWith('[[')) return value.slice(1);
  if (!value.startsWith('[') || !value.endsWith(']')) return value;
  const parser = new ExpressionParser(value.slice(1, -1), scope);
  return parser.whole();
}

/** Function calls, text literals, numbers, and `.property` after a call. */
class ExpressionParser {
  #position = 0;
  constructor(
    readonly text: string,
    readonly scope: Scope,
  ) {}

  whole(): Json {
    const value = this.#expression();
    if (this.#rest().trim() !== '') throw this.#unknown();
    return value;
  }

  #rest(): string {
    return this.text.slice(this.#position);
  }

  #unknown(): ArmError {
    return notPlayed(
      'TemplateExpressionNotKnown',
      `The template expression '[${this.text}]' is not known here.`,
    );
  }

  #take(pattern: RegExp): string | undefined {
    const found = new RegExp(`^\\s*(?:${pattern.source})`).exec(this.#rest());
    if (!found) return undefined;
    this.#position += found[0].length;
    return found[1] ?? found[0].trim();
  }

  #expression(): Json {
    const literal = this.#take(/'((?:[^']|'')*)'/);
    if (literal !== undefined) return literal.replaceAll("''", "'");
    const number = this.#take(/(-?\d+)/);
    if (number !== undefined) return Number(number);
    const name = this.#take(/([a-zA-Z]+)\s*\(/);
    if (name === undefined) throw this.#unknown();
    const values: Json[] = [];
    while (this.#take(/\)/) === undefined) {
      if (values.length > 0 && this.#take(/,/) === undefined) throw this.#unknown();
      values.push(this.#expression());
    }
    let value: Json | undefined = this.#call(name, values);
    for (let key = this.#take(/\.([a-zA-Z0-9_]+)/); key !== undefined; key = this.#take(/\.([a-zA-Z0-9_]+)/))
      value = at(value, key);
    if (value === undefined) throw this.#unknown();
    return value;
  }

  #call(name: string, values: readonly Json[]): Json {
    const { parameters, variables, target, azure } = this.scope;
    const first = String(values[0] ?? '');
    switch (name.toLowerCase()) {
      case 'parameters':
        return parameters[first] ?? this.#missing(`parameter '${first}'`);
      case 'variables':
        return evaluate(variables[first] ?? this.#missing(`variable '${first}'`), this.scope);
      case 'concat':
        return values.map(String).join('');
      case 'format':
        return values
          .slice(1)
          .reduce<string>((text, value, index) => text.replaceAll(`{${index}}`, String(value)), first);
      case 'resourceid':
      case 'subscriptionresourceid':
        return this.#id(name, values.map(String));
      case 'reference':
        return this.#reference(first);
      case 'resourcegroup':
        return { id: target, ...azure.store.get(target)?.body };
      case 'utcnow':
        // Only the default of a parameter may call it.
        return new Date().toISOString();
      case 'datetimeadd':
        return plusDuration(first, String(values[1]));
      case 'datetimetoepoch':
        return Math.floor(Date.parse(first) / 1000);
      default:
        throw this.#unknown();
    }
  }

  /** Before the type there may be a subscription, and for `resourceId` a resource group. */
  #id(name: string, values: readonly string[]): string {
    const first = values.findIndex((value) => value.includes('/'));
    const [type = '', ...names] = values.slice(first);
    const before = values.slice(0, first);
    return resourceId(this.#above(name, before), type, names.join('/'));
  }

  #above(name: string, before: readonly string[]): string {
    const own = this.scope.azure.subscriptionId;
    if (name.toLowerCase() === 'subscriptionresourceid') return `/subscriptions/${before[0] ?? own}`;
    const group = before.at(-1);
    if (group === undefined) return this.scope.target;
    return `/subscriptions/${before.length > 1 ? before[0] : own}/resourceGroups/${group}`;
  }

  /** Properties of a resource, by its id or by its name in the template. */
  #reference(idOrName: string): JsonObject {
    const id = idOrName.startsWith('/') ? idOrName : (this.scope.ids.get(idOrName) ?? idOrName);
    const resource = this.scope.azure.store.get(id);
    if (!resource) throw deployments.referenceNotFound(id);
    return objectAt(resource.body, 'properties');
  }

  #missing(what: string): never {
    throw deployments.nameNotFound(what);
  }
}

/** Adds the years, months and days of an ISO 8601 duration. */
function plusDuration(time: string, duration: string): string {
  const found = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?$/.exec(duration);
  const date = new Date(time);
  if (!found || Number.isNaN(date.getTime())) throw deployments.dateNotValid(time, duration);
  date.setUTCFullYear(date.getUTCFullYear() + Number(found[1] ?? 0));
  date.setUTCMonth(date.getUTCMonth() + Number(found[2] ?? 0));
  date.setUTCDate(date.getUTCDate() + Number(found[3] ?? 0));
  return date.toISOString();
}
