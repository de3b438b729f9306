import { AzurermProvider } from '@cdktf/provider-azurerm/lib/provider/index.js';
import { App, LocalBackend, TerraformStack, Testing } from 'cdktf';

/** One block of the synthesized JSON, attributes as Terraform spells them. */
export type Block = Readonly<Record<string, unknown>>;
type Blocks = Readonly<Record<string, Readonly<Record<string, Block>>>>;

/** The synthesized document of a stack, which reviewers, auditors and Terraform read. */
export class Synthesized {
  readonly text: string;
  readonly #document: {
    readonly resource?: Blocks;
    readonly data?: Blocks;
    readonly output?: Readonly<Record<string, { readonly value: unknown }>>;
  };

  constructor(stack: TerraformStack) {
    this.text = Testing.synth(stack, true);
    this.#document = JSON.parse(this.text);
  }

  /** All resources of a type, by their address without the type. */
  resources(type: string): Readonly<Record<string, Block>> {
    return this.#document.resource?.[type] ?? {};
  }

  data(type: string): Readonly<Record<string, Block>> {
    return this.#document.data?.[type] ?? {};
  }

  output(name: string): unknown {
    return this.#document.output?.[name]?.value;
  }

  /** The only resource of its type. */
  resource(type: string): Block {
    return only(type, Object.values(this.resources(type)));
  }

  onlyData(type: string): Block {
    return only(type, Object.values(this.data(type)));
  }

  /** The resource of a type whose Azure name is given. */
  named(type: string, name: string): Block {
    return only(
      `${type} named ${name}`,
      Object.values(this.resources(type)).filter((block) => block['name'] === name),
    );
  }
}

/** Synthesizes an empty stack that `build` fills, with the constructs' own validation. */
export function synthesize(build: (stack: TerraformStack) => void): Synthesized {
  const stack = new TerraformStack(new App({ stackTraces: false }), 'test');
  addProvider(stack);
  build(stack);
  return new Synthesized(stack);
}

/** A stack for a run of Terraform. */
export function runnableStack(outdir: string, build: (stack: TerraformStack) => void): void {
  const app = new App({ stackTraces: false, outdir });
  const stack = new TerraformStack(app, 'test');
  new LocalBackend(stack, { path: 'terraform.tfstate' });
  addProvider(stack);
  build(stack);
  app.synth();
}

/** A Terraform expression as the JSON has it. */
export function expression(terraform: string): string {
  return `\${${terraform}}`;
}

function addProvider(stack: TerraformStack): void {
  new AzurermProvider(stack, 'azurerm', {
    subscriptionId: '00000000-0000-0000-0000-000000000000',
    features: [{ templateDeployment: [{ deleteNestedItemsDuringDeletion: false }] }],
  });
}

function only<T>(what: string, found: readonly T[]): T {
  const [first] = found;
  if (first === undefined || found.length > 1) {
    throw new Error(`expected one ${what}, the stack has ${found.length}`);
  }
  return first;
}
