/** Terraform in a stack's folder: its state, and the few commands that change nothing but that. */
import { execFile } from 'node:child_process';
import { relative } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { Fault } from '../../core/fault.ts';
import { isObject, type Json, objectsAt, textAt } from '../../core/json.ts';

const execute = promisify(execFile);

/** A resource as the state has it. */
export interface StateResource {
  readonly address: string;
  readonly id: string | undefined;
  /** Terraform did not see the end of its creation, and plans to replace it. */
  readonly tainted: boolean;
}

export interface State {
  readonly resources: ReadonlyMap<string, StateResource>;
  /** Grows with every change; 0 when there is no state yet. */
  readonly serial: number;
}

export interface Terraform {
  /** Reads the state without taking its lock. */
  state(): Promise<State>;
  /** Takes a resource of Azure into the state; Azure is only read. */
  import(address: string, id: string): Promise<void>;
  /** Takes back that a resource must be replaced. */
  untaint(address: string): Promise<void>;
}

export function terraformIn(directory: string, program = 'terraform'): Terraform {
  const run = async (what: string, parameters: readonly string[]): Promise<string> => {
    try {
      const options = { cwd: directory, maxBuffer: 1 << 28, env: { ...process.env, TF_IN_AUTOMATION: '1' } };
      return (await execute(program, [...parameters], options)).stdout;
    } catch (error) {
      throw failure(what, directory, program, error);
    }
  };
  return {
    state: async () => parseState(await run('read the state', ['state', 'pull'])),
    import: async (address, id) =>
      void (await run(`import ${address}`, ['import', '-no-color', '-input=false', address, id])),
    untaint: async (address) => void (await run(`untaint ${address}`, ['untaint', '-no-color', address])),
  };
}

/** @param text what `terraform state pull` prints: nothing while there is no state */
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

function failure(what: string, directory: string, program: string, error: unknown): Fault {
  const missing = error instanceof Error && Reflect.get(error, 'code') === 'ENOENT';
  if (missing)
    return new Fault(
      'terraform/1',
      `${program} was not found`,
      'the state of an environment is read with it',
      'Install Terraform 1.11 or newer.',
      { exitCode: 2 },
    );
  const reason = lastWords(error);
  const where = relative(process.cwd(), directory) || '.';
  const uninitialised = /initiali[sz]|init/i.test(reason);
  return new Fault(
    'terraform/2',
    `Terraform did not ${what} in ${where}`,
    reason,
    uninitialised ? `Run terraform -chdir=${where} init with access to the state.` : 'Run it again.',
    { exitCode: what === 'read the state' ? 2 : 1 },
  );
}

/** Terraform draws a box around its errors; what stands after `Error:` is the reason. */
function lastWords(error: unknown): string {
  const stderr: unknown = error instanceof Error ? Reflect.get(error, 'stderr') : undefined;
  const text = typeof stderr === 'string' ? stripVTControlCharacters(stderr).replace(/[│╷╵]/g, ' ') : '';
  const reason = /Error:\s*([^\n]+)/.exec(text)?.[1] ?? text.trim().split('\n')[0];
  return reason?.trim() || 'it gave no reason';
}
