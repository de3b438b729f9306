import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Trial, trials, trialsOf } from '../replacements.ts';
import { lockByHand } from '../sandbox/operator.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';
import { anotherRegion } from '../sandbox/variants.ts';
import type { TerraformStack } from '../terraform/stack.ts';

type Json = Readonly<Record<string, unknown>>;

export const scenario: Scenario = {
  name: 'arguments-tried',
  title: 'With the lock in place no other value of any argument replaces a resource that holds data',
  needs: ['replica', 'virtualEndpoint', 'lock', 'preventDestroy', 'longTermBackup'],
  isLong: true,
  startsFrom: 'deployed',
  async run(sandbox) {
    if (sandbox.quick) await lockByHand(sandbox);
    const { stack, copies, protect } = await copied(sandbox);
    const untried = await argumentsWithoutTrial(stack);
    sandbox.check('each argument that the provider has is tried', untried.length === 0, () =>
      untried.join(', '),
    );

    await protect(false);
    const open = await stack.plan(undefined, '-refresh=false');
    sandbox.check('Terraform plans all of them at once', open.exitCode === 0, () => open.output);
    const planned = new Set(open.changes);
    const wrong = copies.flatMap(({ address, trial }) =>
      planned.has(`${trial.replaces ? 'replace' : 'update'} ${address}`)
        ? []
        : [`${address} (${trial.argument})`],
    );
    sandbox.check(
      `azurerm replaces or updates for each of ${copies.length} values as recorded`,
      wrong.length === 0,
      () => `these are planned otherwise: ${wrong.join(', ')}`,
    );

    await protect(true);
    const closed = await stack.plan(undefined, '-refresh=false');
    const refused = new Set(
      closed.diagnostics.flatMap(({ detail = '' }) => {
        const [, address] = /^Resource (\S+) has lifecycle\.prevent_destroy/.exec(detail) ?? [];
        return address === undefined ? [] : [address];
      }),
    );
    const replaced = copies.filter(({ trial }) => trial.replaces);
    const passed = replaced.filter(({ address }) => !refused.has(address));
    sandbox.check(
      `with the protection of the deployed stack each of the ${replaced.length} replacements is refused`,
      closed.exitCode !== 0 && passed.length === 0 && refused.size === replaced.length,
      () => `these are not: ${passed.map(({ address }) => address).join(', ')}`,
    );
  },
};

interface Copy {
  readonly address: string;
  readonly trial: Trial;
  readonly block: Json;
  /** As the deployed stack has it. */
  readonly lifecycle: Json;
}

interface Resource {
  readonly type: string;
  readonly name: string;
  readonly instances: readonly { readonly attributes: Json }[];
}

/**
 * A stack of its own with one copy of a deployed resource for each trial: in the state as it is deployed, in the file
 * with the other value. No copy refers to another, so that one plan shows the outcome of each.
 */
async function copied(sandbox: Sandbox) {
  const deployed = await sandbox.terraform();
  const { resource, terraform, provider } = JSON.parse(await deployed.document());
  const state = JSON.parse((await deployed.run(['state', 'pull'])).output);
  const stack = await sandbox.terraform('trials');

  const instances: unknown[] = [];
  const copies = Object.keys(trials).flatMap((type) => {
    // The one with the most arguments: of two servers, the primary.
    const [[name, block = {}] = []] = Object.entries<Json>(resource[type]).sort(
      ([, one], [, two]) => Object.keys(two).length - Object.keys(one).length,
    );
    const real: Resource | undefined = state.resources.find(
      (one: Resource) => one.type === type && one.name === name,
    );
    const [instance] = real?.instances ?? [];
    if (!instance) throw new Error(`nothing of type ${type} is deployed`);
    const { depends_on: _, timeouts: __, lifecycle, ...own } = block;
    return trialsOf(type).map((trial, number): Copy => {
      const copy = `trial_${number}`;
      const to = trial.argument === 'location' ? anotherRegion(sandbox.settings) : trial.to;
      // A write-only argument is in no state.
      const { administrator_password_wo: ___, ...had } = trial.had;
      const attributes = { ...instance.attributes, ...had };
      instances.push({ ...real, name: copy, instances: [{ ...instance, attributes, dependencies: [] }] });
      const before = { ...Object(resolved(own, instance.attributes)), ...trial.had };
      return {
        address: `${type}.${copy}`,
        trial,
        block: withValue(before, trial.argument.split('.'), to),
        lifecycle: { prevent_destroy: Object(lifecycle).prevent_destroy },
      };
    });
  });

  /** Writes the file, with the protection of the deployed stack or without any. */
  const protect = (asDeployed: boolean) => {
    const blocks: Record<string, Record<string, Json>> = {};
    for (const { address, block, lifecycle } of copies) {
      const [type = '', name = ''] = address.split('.');
      blocks[type] = { ...blocks[type], [name]: asDeployed ? { ...block, lifecycle } : block };
    }
    const document = { terraform: { ...terraform, backend: { local: {} } }, provider, resource: blocks };
    return stack.replace(JSON.stringify(document));
  };
  const copiedState = { ...state, outputs: {}, resources: instances };
  await writeFile(path.join(stack.directory, 'terraform.tfstate'), JSON.stringify(copiedState));
  await protect(true);
  const ready = await stack.init();
  if (ready.exitCode !== 0) throw new Error(ready.output);
  // Once Terraform has installed the provider, a shared one serves this stack too.
  return { stack: await sandbox.terraform('trials'), copies, protect };
}

/** The same value with each reference replaced by its value in the state. */
function resolved(value: unknown, deployed: unknown): unknown {
  if (typeof value === 'string') return value.includes('${') ? deployed : value;
  if (Array.isArray(value)) return value.map((item, position) => resolved(item, Object(deployed)[position]));
  if (typeof value !== 'object' || value === null) return value;
  // The state has every block as a list.
  const inner = Object(Array.isArray(deployed) ? deployed[0] : deployed);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolved(one, inner[name])]));
}

/** The same block with another value at a path; a block inside is an object, or a list of one. */
function withValue(block: Json, [key = '', ...rest]: readonly string[], to: unknown): Json {
  const { [key]: inner, ...others } = block;
  const next = rest.length === 0 ? to : withValue(Object(Array.isArray(inner) ? inner[0] : inner), rest, to);
  return next === undefined ? others : { ...others, [key]: next };
}

interface SchemaBlock {
  readonly attributes?: Readonly<
    Record<
      string,
      { readonly optional?: boolean; readonly required?: boolean; readonly deprecated?: boolean }
    >
  >;
  readonly block_types?: Readonly<Record<string, { readonly block: SchemaBlock }>>;
}

async function argumentsWithoutTrial(stack: TerraformStack): Promise<string[]> {
  const { provider_schemas: providers } = JSON.parse(
    (await stack.run(['providers', 'schema', '-json'])).output,
  );
  const { resource_schemas: schemas } = providers['registry.terraform.io/hashicorp/azurerm'];
  return Object.keys(trials).flatMap((type) => {
    const tried = new Set(trialsOf(type).map(({ argument }) => argument));
    return argumentsOf(schemas[type].block).flatMap((one) => (tried.has(one) ? [] : [`${type}.${one}`]));
  });
}

/** Each argument of a resource, those of its blocks after a dot; none that has another name by now. */
function argumentsOf({ attributes = {}, block_types: blocks = {} }: SchemaBlock): string[] {
  return [
    ...Object.entries(attributes).flatMap(([name, { optional, required, deprecated }]) =>
      (optional || required) && !deprecated && name !== 'id' ? [name] : [],
    ),
    ...Object.entries(blocks).flatMap(([name, { block }]) =>
      name === 'timeouts' ? [] : argumentsOf(block).map((inner) => `${name}.${inner}`),
    ),
  ];
}
