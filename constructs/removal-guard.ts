import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { TerraformData } from './terraform-data.ts';

export interface RemovalGuardProps {
  /** Resources that hold data and can be left out of the settings, by a name unique in the stack: whether each is there. */
  readonly present: Readonly<Record<string, boolean>>;
  /** Azure ids of resources that a deployment would create again, empty, by a name unique in the stack. */
  readonly kept: Readonly<Record<string, string>>;
  /** Refuse every plan that removes one of them, or creates one again. */
  readonly preventDestroy: boolean;
}

/**
 * Refuses the plans that `prevent_destroy` on the resource itself does not see, by records that stay in the stack.
 *
 * - The settings no longer have the resource. `prevent_destroy` is part of the resource's block and goes with it, so
 *   Terraform plans to destroy the resource. The record of `present` is replaced, and may not be. A resource that is
 *   added replaces its record as well, and may.
 * - Azure no longer has the resource, or the resource has another address in the stack. Terraform plans to create it,
 *   and in the second case also destroys the one at the old address. The id is then unknown, and the record of `kept`
 *   is replaced, and may not be. A `moved` block keeps the id, and the plan passes.
 *
 * Terraform refuses the whole plan before it asks Azure for anything.
 * https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle#prevent_destroy
 */
export class RemovalGuard extends Construct {
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, { present, kept, preventDestroy }: RemovalGuardProps) {
    super(scope, id);
    const record = (name: string, triggersReplace: object, refuses: boolean) => {
      const data = new TerraformData(this, name, { triggersReplace, lifecycle: { preventDestroy: refuses } });
      // A record whose own address changed with those of the stack would guard nothing.
      data.overrideLogicalId(`${id}_${name}`);
      return data;
    };
    this.resources = [
      ...Object.entries(present).map(([name, isPresent]) =>
        record(name, { in_the_settings: isPresent }, preventDestroy && !isPresent),
      ),
      ...Object.entries(kept).map(([name, resourceId]) =>
        record(`${name}_id`, { id: resourceId }, preventDestroy),
      ),
    ];
  }
}
