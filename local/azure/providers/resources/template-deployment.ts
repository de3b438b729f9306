/**
 * Template deployments, as far as a template needs only parameters, variables and the names of its resources.
 * https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax
 */

import { resourceGroupOf } from '../../../../azure/resource-id.ts';
import {
  at,
  isObject,
  type Json,
  type JsonObject,
  objectAt,
  objectsAt,
  textAt,
} from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { type ArmError, type AzureRequest, repeated } from '../../core/http.ts';
import { notPlayed } from '../../core/refusal.ts';
import { deployments } from '../../refusals/deployments.ts';

interface Scope {
  readonly azure: Azure;
  readonly group: string;
  readonly parameters: JsonObject;
  readonly variables: JsonObject;
}

/** Creates what a template describes, by way of the resource manager itself. @returns ids of its resources, and outputs */
export async function deployTemplate(
  azure: Azure,
  request: AzureRequest,
  properties: JsonObject,
): Promise<{ resources: string[]; outputs: JsonObject }> {
  const template = objectAt(properties, 'template');
  const group = resourceGroupOf(request.path) ?? '';
  const scope: Scope = {
    azure,
    group,
    parameters: givenParameters(azure, group, template, objectAt(properties, 'parameters')),
    variables: objectAt(template, 'variables'),
  };
  const resources: string[] = [];
  for (const resource of objectsAt(template, 'resources')) {
    const { type, apiVersion, name, dependsOn: _after, ...body } = resource;
    const id = resourceId(group, String(type), String(evaluate(name, scope)));
    const answer = await azure.dispatch({
      ...request,
      method: 'PUT',
      path: id,
      query: new URLSearchParams({ 'api-version': String(apiVersion) }),
      body: Buffer.from(JSON.stringify(evaluate(body, scope))),
    });
    if (answer.status >= 300) throw failure(answer.status, answer.body);
    const operation = /azureAsyncOperation\/([^?]+)/.exec(
      answer.headers?.['azure-asyncoperation'] ?? '',
    )?.[1];
    const record = operation === undefined ? undefined : await azure.operations.wait(operation);
    if (record?.error) throw repeated(409, record.error);
    resources.push(id);
  }
  const outputs = Object.entries(objectAt(template, 'outputs')).map(([name, output]): [string, Json] => [
    name,
    { type: textAt(output, 'type') ?? 'string', value: evaluate(at(output, 'value'), scope) },
  ]);
  return { resources, outputs: Object.fromEntries(outputs) };
}

function failure(status: number, body: Json | Buffer | undefined): ArmError {
  const answer = Buffer.isBuffer(body) ? undefined : body;
  return repeated(status, {
    code: textAt(answer, 'error', 'code') ?? 'DeploymentFailed',
    message: textAt(answer, 'error', 'message') ?? 'A resource of the template failed.',
  });
}

function givenParameters(azure: Azure, group: string, template: JsonObject, given: JsonObject): JsonObject {
  const defaults: Scope = { azure, group, parameters: {}, variables: {} };
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
function resourceId(group: string, type: string, name: string): string {
  const [namespace, ...types] = type.split('/');
  const names = name.split('/');
  return `${group}/providers/${namespace}/${types.map((one, index) => `${one}/${names[index]}`).join('/')}`;
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
    const { parameters, variables, group, azure } = this.scope;
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
        return resourceId(group, first, values.slice(1).map(String).join('/'));
      case 'resourcegroup':
        return { id: group, ...azure.store.get(group)?.body };
      case 'utcnow':
        // The one function that only a parameter's default may call; with the format `u`, sortable.
        return new Date().toISOString();
      case 'datetimeadd':
        return plusDuration(first, String(values[1]));
      case 'datetimetoepoch':
        return Math.floor(Date.parse(first) / 1000);
      default:
        throw this.#unknown();
    }
  }

  #missing(what: string): never {
    throw deployments.nameNotFound(what);
  }
}

/** Years, months and days of an ISO 8601 duration; what a key's lifetime is written in. */
function plusDuration(time: string, duration: string): string {
  const found = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?$/.exec(duration);
  const date = new Date(time);
  if (!found || Number.isNaN(date.getTime())) throw deployments.dateNotValid(time, duration);
  date.setUTCFullYear(date.getUTCFullYear() + Number(found[1] ?? 0));
  date.setUTCMonth(date.getUTCMonth() + Number(found[2] ?? 0));
  date.setUTCDate(date.getUTCDate() + Number(found[3] ?? 0));
  return date.toISOString();
}
