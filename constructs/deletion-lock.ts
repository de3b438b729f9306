import { ManagementLock } from '@cdktf/provider-azurerm/lib/management-lock/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { DeletionLockMode } from '../azure/vocabulary.ts';

export interface DeletionLockProps {
  /** Azure resource ids to lock, each by a name that is unique in the stack: servers, replicas, the vault. */
  readonly targets: Readonly<Record<string, string>>;
  /**
   * `inPlace` locks; `none` and `lifted` do not. `lifted` is for the one deployment that must remove or replace a
   * child: locks are inherited, and with one in place Azure answers 409 ScopeLocked.
   */
  readonly mode: DeletionLockMode;
  /**
   * Everything that is created on or under the targets. A lock comes after all of it, so that it is created last and
   * removed first; before, it would refuse its own stack's changes.
   */
  readonly after: readonly ITerraformDependable[];
}

/**
 * Locks against deletion, for people and scripts outside Terraform. Terraform itself removes its lock first when it
 * destroys (azurerm 22866); `prevent_destroy` on the resources and on the lock is what stops that.
 */
export class DeletionLock extends Construct {
  /** Empty unless the locks are in place. The post-deploy step, which checks them, comes after these. */
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: DeletionLockProps) {
    super(scope, id);
    this.resources =
      props.mode === 'inPlace'
        ? Object.entries(props.targets).map(
            ([name, target]) =>
              new ManagementLock(this, name, {
                name: 'do-not-delete',
                scope: target,
                lockLevel: 'CanNotDelete',
                notes:
                  'Holds data of all tenants. To remove or replace something below it, deploy with ' +
                  'deletionLock: lifted first, and with inPlace again afterwards.',
                // Each argument of a lock replaces it, and new wording does not justify a moment without a lock.
                lifecycle: { ignoreChanges: ['notes'] },
                dependsOn: [...props.after],
              }),
          )
        : [];
  }
}
