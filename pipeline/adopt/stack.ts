/** A synthesized stack, from the file that Terraform reads: `cdktf.out/stacks/<environment>/cdk.tf.json`. */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { isObject, type JsonObject, objectsAt, textAt } from '../../core/json.ts';

/** A resource, or with `data.` before its address a data source. */
export interface StackResource {
  /** `azurerm_key_vault.key_vault`, as plans name it. */
  readonly address: string;
  /** `azurerm_key_vault`. */
  readonly type: string;
  /** Arguments as written, with their expressions. */
  readonly block: JsonObject;
}

export type Backend =
  /** Path of the state file, relative to the stack's folder. */
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'azurerm'; readonly account: string; readonly container: string; readonly key: string };

export class Stack {
  readonly resources: ReadonlyMap<string, StackResource>;
  readonly backend: Backend;
  /** Addresses that the stack itself imports. */
  readonly imported: ReadonlySet<string>;
  readonly #data: ReadonlyMap<string, StackResource>;
  readonly #document: JsonObject;

  constructor(
    /** Folder in which Terraform runs. */
    readonly directory: string,
    text: string,
  ) {
    const document: unknown = JSON.parse(text);
    if (!isObject(document)) throw new Error('a stack is a JSON object');
    this.#document = document;
    this.resources = collect('', document['resource']);
    this.#data = collect('data.', document['data']);
    this.backend = backendOf(document);
    this.imported = new Set(objectsAt(document, 'import').flatMap((block) => textAt(block, 'to') ?? []));
  }

  /** A resource, or a data source, by its address. */
  at(address: string): StackResource | undefined {
    return this.resources.get(address) ?? this.#data.get(address);
  }

  ofType(type: string): readonly StackResource[] {
    return [...this.resources.values()].filter((one) => one.type === type);
  }

  /** A switch of the provider's `features`; undefined if the stack does not set it. */
  feature(area: string, name: string): unknown {
    const [provider] = objectsAt(this.#document, 'provider', 'azurerm');
    const [block] = objectsAt(objectsAt(provider, 'features')[0], area);
    return block?.[name];
  }
}

/**
 * @param output folder that cdktf writes to
 * @throws Fault (exit 2) if the environment has not been synthesized there
 */
export function readStack(output: string, environment: string): Stack {
  const directory = join(output, 'stacks', environment);
  try {
    return new Stack(directory, readFileSync(join(directory, 'cdk.tf.json'), 'utf8'));
  } catch (error) {
    const missing = error instanceof Error && Reflect.get(error, 'code') === 'ENOENT';
    const where = relative(process.cwd(), directory);
    throw new Fault(
      'stack/not-readable',
      `${where} has no readable stack`,
      missing ? `environment ${environment} has not been synthesized there` : String(error),
      `Run npm run synth, then terraform -chdir=${where} init.`,
      { exitCode: 2 },
    );
  }
}

function collect(prefix: string, types: unknown): ReadonlyMap<string, StackResource> {
  const found = new Map<string, StackResource>();
  if (!isObject(types)) return found;
  for (const [type, named] of Object.entries(types)) {
    if (!isObject(named)) continue;
    for (const [name, block] of Object.entries(named)) {
      const address = `${prefix}${type}.${name}`;
      if (isObject(block)) found.set(address, { address, type, block });
    }
  }
  return found;
}

function backendOf(document: JsonObject): Backend {
  const azurerm = (name: string) => textAt(document, 'terraform', 'backend', 'azurerm', name);
  const [account, container, key] = [
    azurerm('storage_account_name'),
    azurerm('container_name'),
    azurerm('key'),
  ];
  if (account !== undefined && container !== undefined && key !== undefined)
    return { kind: 'azurerm', account, container, key };
  return {
    kind: 'local',
    path: textAt(document, 'terraform', 'backend', 'local', 'path') ?? 'terraform.tfstate',
  };
}
