/** Terraform in the folder of a stack: reads the state, and changes only the state. */
import { isObject, type Json, objectsAt, textAt } from '../../core/json.ts';
import { runTerraform } from '../../core/terraform.ts';

/** A resource in the state. */
export interface StateResource {
  readonly address: string;
  readonly id: string | undefined;
  /** Terraform did not see its creation end, and plans to replace it. */
  readonly tainted: boolean;
}

export interface State {
  readonly resources: ReadonlyMap<string, StateResource>;
  /** Grows with every change; 0 if there is no state yet. */
  readonly serial: number;
}

export interface Terraform {
  /** Reads the state without taking its lock. */
  state(): Promise<State>;
  /** Imports a resource of Azure into the state. Azure is only read. */
  import(address: string, id: string): Promise<void>;
  /** Removes the mark that a resource must be replaced. */
  untaint(address: string): Promise<void>;
}

export function terraformIn(directory: string, program = 'terraform'): Terraform {
  const run = (purpose: string, parameters: readonly string[]): Promise<string> =>
    runTerraform({
      directory,
      parameters,
      purpose,
      program,
      exitCode: purpose === 'read the state' ? 2 : 1,
    });
  return {
    state: async () => parseState(await run('read the state', ['state', 'pull'])),
    import: async (address, id) =>
      void (await run(`import ${address}`, ['import', '-no-color', '-input=false', address, id])),
    untaint: async (address) => void (await run(`untaint ${address}`, ['untaint', '-no-color', address])),
  };
}

/** @param text output of `terraform state pull`, empty if there is no state */
export function parseState(text: string): State {
  const document: Json = text.trim() === '' ? {} : JSON.parse(text);
  const resources = new Map<string, StateResource>();
  for (const one of objectsAt(document, 'resources')) {
    if (one['mode'] !== 'managed') continue;
    const [instance] = objectsAt(one, 'instances');
    if (!instance) continue;
    const address = `${textAt(one, 'type')}.${textAt(one, 'name')}`;
    resources.set(address, {
      address,
      id: textAt(instance, 'attributes', 'id'),
      tainted: instance['status'] === 'tainted',
    });
  }
  const serial = isObject(document) ? Number(document['serial'] ?? 0) : 0;
  return { resources, serial };
}
