/**
 * Real plans: the shapes are applied once by Terraform and azurerm to a local Azure. For each row its state is copied under
 * another name, its configuration is changed, and one plan has all rows.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type LocalAzure, startLocalAzure } from '../../../local/azure/index.ts';
import { Project } from '../../../rehearsal/terraform/project.ts';
import { SharedProvider } from '../../../rehearsal/terraform/shared-provider.ts';
import { type TerraformRun, TerraformStack } from '../../../rehearsal/terraform/stack.ts';
import { type Block, type Blocks, group, type ShapeName, shapes } from './shapes.ts';

export interface PlannedChange {
  readonly shape: ShapeName;
  /** Attributes that a resource has before, in state and configuration, by its name without the token. @default - none */
  readonly had?: Readonly<Record<string, Block>>;
  /** Changes the configuration of the copy. */
  change(blocks: Blocks, token: string): void;
  /** Azure already runs this: further resources in the state, by address without the token. @default - none */
  readonly also?: (token: string, id: (server: string) => string) => readonly StateResource[];
}

export interface StateResource {
  /** Version of the schema of its type: azurerm upgrades the state of an older one. @default 0 */
  readonly schemaVersion?: number;
  readonly type: string;
  readonly name: string;
  readonly attributes: Block;
}

export interface PlansOptions {
  /** Whether azurerm restarts servers for static parameters, as by default. */
  readonly restarts: boolean;
}

interface Resource {
  readonly type: string;
  readonly name: string;
  readonly provider: string;
  readonly instances: readonly { readonly attributes: Block }[];
}

export class PlansTestbed {
  #states: Readonly<Record<string, readonly Resource[]>> = {};

  private constructor(
    readonly azure: LocalAzure,
    readonly project: Project,
    readonly provider: SharedProvider,
  ) {}

  /** @param applied shapes that are applied once, for {@link plan} */
  static async open(
    applied: readonly ShapeName[] = Object.keys(shapes) as ShapeName[],
  ): Promise<PlansTestbed> {
    const project = await Project.open('');
    const azure = await startLocalAzure();
    azure.state.put(`/subscriptions/${azure.subscriptionId}/resourceGroups/${group}`, {
      location: 'eastus',
      properties: { provisioningState: 'Succeeded' },
    });
    const provider = new SharedProvider({ ...project.environment, ...azure.environment });
    const testbed = new PlansTestbed(azure, project, provider);
    if (applied.length > 0) await testbed.#apply(applied);
    return testbed;
  }

  /** A stack of files of its own, with the provider's configuration beside them. */
  async stack(name: string, files: (directory: string) => Promise<void>): Promise<TerraformStack> {
    return this.#stack(name, this.#document([], { restarts: true }), files);
  }

  async done(run: Promise<TerraformRun>): Promise<void> {
    expectDone(await run);
  }

  async #stack(
    name: string,
    document: object,
    files?: (directory: string) => Promise<void>,
  ): Promise<TerraformStack> {
    const stack = await TerraformStack.in(this.project, name, this.azure.environment);
    await files?.(stack.directory);
    await stack.replace(JSON.stringify(document));
    const ready = await stack.init();
    expectDone(ready);
    return stack.servedBy(this.provider);
  }

  async #apply(all: readonly ShapeName[]): Promise<void> {
    const stack = await this.#stack(
      'shapes',
      this.#document(
        all.map((name) => shapes[name](tokenOf(name))),
        { restarts: true },
      ),
    );
    const applied = await stack.apply();
    expectDone(applied);
    const state = JSON.parse((await stack.run(['state', 'pull'])).output);
    const resources: readonly Resource[] = state.resources;
    this.#states = Object.fromEntries(
      all.map((name) => [name, resources.filter((one) => one.name.startsWith(`${tokenOf(name)}_`))]),
    );
  }

  #document(blocks: readonly Blocks[], { restarts }: PlansOptions): object {
    const resource: Blocks = {};
    for (const one of blocks)
      for (const [type, named] of Object.entries(one)) resource[type] = { ...resource[type], ...named };
    const features = {
      postgresql_flexible_server: [{ restart_server_on_configuration_value_change: restarts }],
    };
    return {
      terraform: {
        required_providers: { azurerm: { source: 'azurerm', version: '4.55.0' } },
        backend: { local: {} },
      },
      provider: {
        azurerm: [{ features: [restarts ? {} : features], resource_provider_registrations: 'none' }],
      },
      ...(blocks.length > 0 ? { resource } : {}),
    };
  }

  /** The output of `terraform show -json` of one plan with every change. Resources of a change have its key as a prefix. */
  async plan(
    changes: Readonly<Record<string, PlannedChange>>,
    options: PlansOptions,
    more: Blocks = {},
  ): Promise<string> {
    const resources: unknown[] = [];
    const blocks = Object.entries(changes).map(([token, { shape, had = {}, change, also }]) => {
      const own: Blocks = shapes[shape](token);
      for (const [type, named] of Object.entries(own))
        for (const [name, block] of Object.entries(named)) {
          const { lifecycle: _, ...values } = had[name.slice(token.length + 1)] ?? {};
          (own[type] ?? {})[name] = { ...block, ...values };
        }
      const state: readonly Resource[] = JSON.parse(
        JSON.stringify(this.#states[shape]).replaceAll(tokenOf(shape), token),
      );
      for (const one of state) {
        const values = inState(had[one.name.slice(token.length + 1)] ?? {});
        resources.push({
          ...one,
          instances: one.instances.map((instance) => ({
            ...instance,
            attributes: { ...instance.attributes, ...values },
          })),
        });
      }
      const idOf = (server: string) =>
        String(state.find(({ name }) => name === `${token}_${server}`)?.instances[0]?.attributes['id']);
      for (const { type, name, attributes, schemaVersion = 0 } of also?.(token, idOf) ?? [])
        resources.push({
          mode: 'managed',
          type,
          name: `${token}_${name}`,
          provider: 'provider["registry.terraform.io/hashicorp/azurerm"]',
          instances: [{ schema_version: schemaVersion, attributes, sensitive_attributes: [] }],
        });
      change(own, token);
      return own;
    });
    const stack = await this.#stack(`plans-${options.restarts}`, this.#document([...blocks, more], options));
    const state = {
      version: 4,
      terraform_version: '1.11.0',
      serial: 1,
      lineage: 'f0b0d3f4-0000-4000-8000-000000000000',
      outputs: {},
      resources,
    };
    await writeFile(path.join(stack.directory, 'terraform.tfstate'), JSON.stringify(state));
    const run = await stack.plan(undefined, '-refresh=false');
    expectDone(run);
    const shown = await stack.run(['show', '-json', 'plan']);
    return shown.stdout;
  }

  async close(): Promise<void> {
    await this.provider.end();
    await this.azure.stop();
    await this.project.close();
  }
}

/** @throws Error with the errors of a run that failed */
function expectDone({ exitCode, diagnostics, command, output }: TerraformRun): void {
  if (exitCode === 0) return;
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  const lines = errors.map(({ summary, detail = '', address = '' }) => `${address} ${summary}: ${detail}`);
  throw new Error(`${command}: ${lines.join('; ') || output.slice(0, 2000)}`);
}

/** As `shapes` names it, without a dash: names of resources have none. */
function tokenOf(shape: ShapeName): string {
  return `shape${shape}`;
}

/** A block is a list in the state. */
function inState(values: Block): Block {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === 'object' && value !== null && !Array.isArray(value) ? [value] : value,
    ]),
  );
}
