/** Relations between the resources of a plan, on which the impact of a change depends. */

import { parseSku, type Sku } from '../../azure/skus.ts';
import { isObject, numberAt, textAt } from '../../core/json.ts';
import { blockOf, type PlanFacts, type ResourceChange } from './facts.ts';
import { collectMasked, own } from './values.ts';

export const serverType = 'azurerm_postgresql_flexible_server';
export const parameterType = 'azurerm_postgresql_flexible_server_configuration';
export const lockType = 'azurerm_management_lock';

export type Side = 'before' | 'after';

export class ServerFacts {
  constructor(readonly change: ResourceChange) {}

  get address(): string {
    return this.change.address;
  }

  /** Azure's id in lower case; undefined for a server that does not exist yet. */
  get id(): string | undefined {
    return (textAt(this.change.before, 'id') ?? textAt(this.change.after, 'id'))?.toLowerCase();
  }

  get name(): string {
    return textAt(this.change.after, 'name') ?? textAt(this.change.before, 'name') ?? this.address;
  }

  /** Whether it exists before and after as the same server. */
  get stays(): boolean {
    return ['nothing', 'update'].includes(this.change.action) && !this.change.isDeposed;
  }

  text(side: Side, ...path: readonly (string | number)[]): string | undefined {
    return textAt(this.change[side], ...path);
  }

  sku(side: Side): Sku | undefined {
    return parseSku(this.text(side, 'sku_name') ?? '');
  }

  isBurstable(side: Side): boolean {
    return (this.text(side, 'sku_name') ?? '').startsWith('B_');
  }

  storageGb(side: Side): number | undefined {
    const megabytes = numberAt(this.change[side], 'storage_mb');
    return megabytes === undefined ? undefined : megabytes / 1024;
  }

  /** Mode of the standby; undefined without one. */
  standby(side: Side): string | undefined {
    return this.text(side, 'high_availability', 0, 'mode');
  }

  isOn(side: Side, attribute: string): boolean {
    return own(this.change[side], attribute) === true;
  }
}

/** Whether one id is the other, or in it. Diagnostic settings have `|` between resource and name. */
function isAtOrBelow(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || one.startsWith(`${other}|`);
}

/** Which of two changes runs first. `none`: Terraform runs them in any order. */
export type Order = 'first' | 'second' | 'none';

export class Context {
  readonly servers: readonly ServerFacts[];
  readonly #byId = new Map<string, ServerFacts>();
  readonly #reached = new Map<string, ReadonlySet<string>>();
  readonly #secrets: readonly string[];
  readonly #locks: readonly { readonly lock: ResourceChange; readonly scope: string }[];

  constructor(readonly facts: PlanFacts) {
    this.servers = facts.resources
      .filter(({ type, mode }) => type === serverType && mode === 'managed')
      .map((change) => new ServerFacts(change));
    this.#secrets = secretsOf(facts);
    this.#locks = facts.resources.flatMap((lock) => {
      const scope = textAt(lock.before, 'scope')?.toLowerCase();
      const stays = !lock.isDeposed && ['nothing', 'update'].includes(lock.action);
      return lock.type === lockType && stays && scope !== undefined ? [{ lock, scope }] : [];
    });
    for (const server of this.servers) {
      if (server.id !== undefined && !server.change.isDeposed) this.#byId.set(server.id, server);
    }
  }

  /** A sentence without the values that Terraform masks anywhere in the plan. */
  masked(text: string): string {
    return this.#secrets.reduce((masked, secret) => masked.replaceAll(secret, '(sensitive)'), text);
  }

  /** The server that a resource belongs to, by `server_id`, or by name and group. Undefined if the plan has none. */
  serverOf(change: ResourceChange): ServerFacts | undefined {
    if (change.type === serverType) return this.servers.find((one) => one.change === change);
    for (const side of [change.before, change.after]) {
      const id = textAt(side, 'server_id') ?? textAt(side, 'source_server_id');
      const byId = id === undefined ? undefined : this.#byId.get(id.toLowerCase());
      if (byId) return byId;
      const name = textAt(side, 'server_name');
      const byName = name === undefined ? undefined : this.servers.find((one) => one.name === name);
      if (byName) return byName;
    }
    return this.#nearestServer(change);
  }

  /** The server that a resource refers to on the shortest path, other than itself. */
  #nearestServer({ address }: ResourceChange): ServerFacts | undefined {
    if (this.servers.length === 0) return undefined;
    const start = blockOf(address);
    const seen = new Set([start]);
    for (let level: readonly string[] = [start]; level.length > 0; ) {
      const next = level
        .flatMap((block) => this.facts.needs.get(block) ?? [])
        .filter((block) => !seen.has(block));
      const found = this.servers.find(
        (one) => blockOf(one.address) !== start && next.includes(blockOf(one.address)),
      );
      if (found) return found;
      for (const block of next) seen.add(block);
      level = [...new Set(next)];
    }
    return undefined;
  }

  /** The server that has an id; undefined if the plan does not manage it. */
  byId(id: string | undefined): ServerFacts | undefined {
    return id === undefined ? undefined : this.#byId.get(id.toLowerCase());
  }

  primaryOf(server: ServerFacts): ServerFacts | undefined {
    const source = server.text('before', 'source_server_id') ?? server.text('after', 'source_server_id');
    const byId = this.byId(source);
    if (byId) return byId;
    if (!this.isReplica(server)) return undefined;
    return this.#nearestServer(server.change);
  }

  isReplica(server: ServerFacts): boolean {
    return (
      this.#isOurReplica(server.text('before', 'source_server_id'), server) ||
      this.#isOurReplica(server.text('after', 'source_server_id'), server) ||
      server.text('after', 'create_mode') === 'Replica' ||
      server.text('before', 'create_mode') === 'Replica'
    );
  }

  /** A restored server has a source too. */
  #isOurReplica(source: string | undefined, server: ServerFacts): boolean {
    const mode = server.text('after', 'create_mode') ?? server.text('before', 'create_mode');
    return source !== undefined && (mode === undefined || mode === 'Replica');
  }

  /** Replicas that exist before the apply. */
  replicasOf(server: ServerFacts): readonly ServerFacts[] {
    return this.servers.filter(
      (one) =>
        one !== server &&
        one.change.action !== 'create' &&
        !one.change.isDeposed &&
        this.primaryOf(one) === server,
    );
  }

  /** The other server of a pair. */
  partnersOf(server: ServerFacts): readonly ServerFacts[] {
    const primary = this.primaryOf(server);
    return primary ? [primary] : this.replicasOf(server);
  }

  /** Locks on a resource, or on what it is in, that are there before and after. */
  locksOn(id: string | undefined): readonly ResourceChange[] {
    const target = id?.toLowerCase();
    return this.#locks.flatMap(({ lock, scope }) =>
      target !== undefined && isAtOrBelow(target, scope) ? [lock] : [],
    );
  }

  /** Locks on what is in a resource. */
  locksBelow(id: string | undefined): readonly ResourceChange[] {
    const target = id?.toLowerCase();
    return this.#locks.flatMap(({ lock, scope }) =>
      target !== undefined && isAtOrBelow(scope, target) ? [lock] : [],
    );
  }

  /** Resources of a type that belong to a server. */
  childrenOf(server: ServerFacts, type: string): readonly ResourceChange[] {
    return this.facts.resources.filter((one) => one.type === type && this.serverOf(one) === server);
  }

  /** Resources of a type that one refers to, at any distance. Of a block with several instances, all. */
  needed({ address }: ResourceChange, type: string): readonly ResourceChange[] {
    const reached = this.#reach(blockOf(address));
    return this.facts.resources.filter((one) => one.type === type && reached.has(blockOf(one.address)));
  }

  /** Whether the server is created or replaced here, so that nobody depends on it yet. */
  isNew(server: ServerFacts | undefined): boolean {
    return server !== undefined && server.change.action === 'create';
  }

  /** Order of two updates in the apply: a resource is updated after those that it refers to. */
  order(one: ResourceChange, other: ResourceChange): Order {
    const [a, b] = [blockOf(one.address), blockOf(other.address)];
    if (this.#reach(b).has(a)) return 'first';
    return this.#reach(a).has(b) ? 'second' : 'none';
  }

  /** Blocks that one refers to, at any distance. */
  #reach(block: string): ReadonlySet<string> {
    const known = this.#reached.get(block);
    if (known) return known;
    const found = new Set<string>();
    const open = [...(this.facts.needs.get(block) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      open.push(...(this.facts.needs.get(next) ?? []));
    }
    this.#reached.set(block, found);
    return found;
  }

  /** The post-deploy step of this project's stacks, if the plan runs it: it restarts servers with pending parameters. */
  get postDeploy(): ResourceChange | undefined {
    return this.facts.resources.find(
      (one) => isPostDeploy(one) && ['create', 'replace'].includes(one.action),
    );
  }
}

/** Whether a resource is the end of a deployment of this project: `terraform_data` with a deployment document. */
export function isPostDeploy({ type, after, before }: ResourceChange): boolean {
  return type === 'terraform_data' && [after, before].some((side) => isObject(at(side)));
}

const at = (side: ResourceChange['after']) => {
  const triggers = own(side, 'triggers_replace');
  return isObject(triggers) && isObject(own(triggers, 'migrations')) ? triggers : undefined;
};

/** Texts and numbers at the masked places, longest first, so that none leaves a part of another. */
function secretsOf({ resources, drift, secrets }: PlanFacts): readonly string[] {
  const found = new Set<string>(secrets);
  for (const { before, after, sensitive } of [...resources, ...drift]) {
    collectMasked(before, sensitive.before, found);
    collectMasked(after, sensitive.after, found);
  }
  return [...found].sort((a, b) => b.length - a.length);
}
