import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { TerraformData } from './terraform-data.ts';

export interface RemovalGuardProps {
  /** What holds data and can be left out of the settings, by a name that is unique in the stack: whether it is there. */
  readonly present: Readonly<Record<string, boolean>>;
  /** Refuse every plan that leaves out something which the state has. */
  readonly preventDestroy: boolean;
}

/**
 * Refuses a plan that removes something because the settings no longer have it.
 *
 * `prevent_destroy` stands in a resource's own block and goes with it: what is taken out of the settings is planned
 * away, whatever it said. So each such thing has a record here that stays when the thing goes. Going, the record is
 * replaced and may not be, and Terraform refuses the whole plan before it asks Azure for anything. Coming, it is
 * replaced as well, and may be.
 * https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle#prevent_destroy
 */
export class RemovalGuard extends Construct {
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, { present, preventDestroy }: RemovalGuardProps) {
    super(scope, id);
    this.resources = Object.entries(present).map(
      ([name, isPresent]) =>
        new TerraformData(this, name, {
          triggersReplace: { in_the_settings: isPresent },
          lifecycle: { preventDestroy: preventDestroy && !isPresent },
        }),
    );
  }
}
