/** One environment's synthesized file, read from disk. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnvironments } from '../../environments/collection.ts';
import { resolve } from '../../environments/resolved.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { synthesize } from '../../stacks/synthesis.ts';
import { type EnvironmentName, environments } from '../support/environments.ts';

export type Block = Readonly<Record<string, unknown>>;
type Blocks = Readonly<Record<string, Readonly<Record<string, Block>>>>;

interface Document {
  readonly resource: Blocks;
  readonly data?: Blocks;
  readonly variable?: Readonly<Record<string, Block>>;
  readonly output: Readonly<Record<string, { readonly value: unknown }>>;
  readonly terraform: Block;
  readonly provider: Readonly<Record<string, readonly Block[]>>;
}

/** @param change changes the settings, for which every rule must still hold */
export function stackOf(environment: EnvironmentName, change?: (input: EnvironmentInput) => void): Stack {
  const input = environments.inputOf(environment);
  change?.(input);
  const folder = mkdtempSync(join(tmpdir(), 'llama-synthesis-'));
  try {
    synthesize(parseEnvironments([input]).map(resolve), folder);
    return new Stack(readFileSync(join(folder, 'stacks', input.name, 'cdk.tf.json'), 'utf8'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Both servers in one region that has no zones, in one network. */
export function inRegionWithoutZones(input: EnvironmentInput): void {
  input.location = 'northcentralus';
  delete input.recoveryLocation;
  delete input.recoveryResourceGroup;
  if (input.network.mode !== 'public') delete input.network.recovery;
  delete input.server.zone;
  input.server.highAvailability = { mode: 'SameZone' };
  if (input.replica) {
    input.replica.location = input.location;
    delete input.replica.zone;
  }
}

export class Stack {
  readonly document: Document;
  readonly #needs = new Map<string, ReadonlySet<string>>();

  constructor(readonly text: string) {
    this.document = JSON.parse(text);
    for (const [prefix, blocks] of [
      ['', this.document.resource],
      ['data.', this.document.data ?? {}],
    ] as const) {
      for (const [type, named] of Object.entries(blocks)) {
        for (const [name, block] of Object.entries(named)) {
          this.#needs.set(`${prefix}${type}.${name}`, referencesOf(block));
        }
      }
    }
  }

  /** Resources of a type, by their name in the stack. */
  all(type: string): Readonly<Record<string, Block>> {
    return this.document.resource[type] ?? {};
  }

  /** A resource by address, or a data source by `data.` and address. */
  at(address: string): Block {
    const data = address.startsWith('data.');
    const [type = '', name = ''] = address.replace(/^data\./, '').split('.');
    const block = (data ? this.document.data : this.document.resource)?.[type]?.[name];
    if (block === undefined) throw new Error(`the stack has no ${address}`);
    return block;
  }

  /** Addresses of all resources and data sources. */
  addresses(): string[] {
    return [...this.#needs.keys()];
  }

  /** Everything that Terraform finishes before it starts `address`. */
  before(address: string): ReadonlySet<string> {
    const found = new Set<string>();
    const open = [address];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const need of this.#needs.get(next) ?? []) {
        if (!found.has(need)) {
          found.add(need);
          open.push(need);
        }
      }
    }
    return found;
  }
}

/** A Terraform expression as the file has it. */
export function expression(terraform: string): string {
  return `\${${terraform}}`;
}

/** Addresses that a block refers to, in an expression, in `depends_on` or in `replace_triggered_by`. */
function referencesOf(value: unknown, bare = false): Set<string> {
  const found = new Set<string>();
  const add = (text: string) => {
    for (const [, address] of text.matchAll(/\b((?:data\.)?(?:azurerm|terraform)_\w+\.[\w-]+)/g)) {
      if (address !== undefined) found.add(address);
    }
  };
  if (typeof value === 'string') {
    if (bare || value.includes('${')) add(value);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      const addresses = bare || key === 'depends_on' || key === 'replace_triggered_by';
      if (key !== '//') for (const address of referencesOf(inner, addresses)) found.add(address);
    }
  }
  return found;
}
