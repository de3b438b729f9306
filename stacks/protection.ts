/** Decides for the whole stack which plans may destroy data (docs/decisions.md, 8a and 8d). */
import { TerraformResource, type TerraformStack } from 'cdktf';
import { lossOnDestruction } from '../azure/loss-on-destruction.ts';
import type { ResolvedEnvironment } from '../environments/resolved.ts';

/** Plans that Terraform refuses. */
export interface Protection {
  /** Plans that destroy or replace a resource which the settings still have, whatever causes it. */
  readonly againstDestruction: boolean;
  /** Plans that destroy a resource which the settings no longer have, or create again one which Azure no longer has. */
  readonly againstRemoval: boolean;
}

/**
 * A lock in place protects everything. Without it `preventDestroy` decides. While the lock is lifted, a resource may
 * leave the settings even so: a person who removes the replica has written that down, and a person whose edit replaces
 * the server has not.
 */
export function protectionOf({ protection }: Pick<ResolvedEnvironment, 'protection'>): Protection {
  const { deletionLock, preventDestroy } = protection;
  const againstDestruction = deletionLock === 'inPlace' || preventDestroy;
  return { againstDestruction, againstRemoval: againstDestruction && deletionLock !== 'lifted' };
}

/**
 * Gives every resource of a protected type its `prevent_destroy`, so that no construct can forget it. Terraform accepts
 * only a constant there, and refuses the whole plan if one resource that has it would be destroyed.
 */
export function protect(stack: TerraformStack, { againstDestruction }: Protection): void {
  for (const element of stack.node.findAll()) {
    if (!(element instanceof TerraformResource)) continue;
    if (!Object.hasOwn(lossOnDestruction, element.terraformResourceType)) continue;
    const { preventDestroy = false, ...rest } = element.lifecycle ?? {};
    element.lifecycle = { ...rest, preventDestroy: preventDestroy || againstDestruction };
  }
}
