import { TerraformElement } from 'cdktf';
import type { Node } from 'constructs';
import { Fault } from '../core/fault.ts';

/**
 * Names of resources in a stack: the paths of their constructs, without the hash that cdktf adds. People read them in
 * plans, type them in `terraform import` and `state` commands, and compare them between environments.
 *
 * A name leaves out `Default` and `Resource`, the ids of a construct's main resource.
 */
export class Addresses {
  readonly #paths = new Map<string, string>();

  /** @throws Fault `synthesis/address-taken` if two constructs would have the same name */
  of(element: TerraformElement | Node): string {
    const node = TerraformElement.isTerraformElement(element) ? element.node : (element as Node);
    const [, ...ids] = node.path.split('/');
    const address = ids
      .filter((id) => id !== 'Default' && id !== 'Resource')
      .join('_')
      .replace(/[^A-Za-z0-9_-]/g, '_')
      .replace(/^(?=\d)/, '_');
    const taken = this.#paths.get(address);
    if (taken !== undefined && taken !== node.path) {
      throw new Fault(
        'synthesis/address-taken',
        `Constructs ${taken} and ${node.path} have the same name in the plan`,
        `both are called ${address}`,
        'Rename one of them.',
      );
    }
    this.#paths.set(address, node.path);
    return address;
  }
}
