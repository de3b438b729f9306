import { TerraformElement } from 'cdktf';
import type { Node } from 'constructs';

/**
 * Names of resources inside a stack: the path of their constructs, without the hash that cdktf adds. People read
 * them in plans, type them in `terraform import` and `state` commands, and compare them between environments.
 *
 * `Default` and `Resource`, a construct's one main resource, are left out.
 */
export class Addresses {
  readonly #paths = new Map<string, string>();

  /** @throws Error when two constructs would get one name */
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
      throw new Error(`constructs ${taken} and ${node.path} would both be called ${address} in the plan`);
    }
    this.#paths.set(address, node.path);
    return address;
  }
}
