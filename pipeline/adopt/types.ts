/** Types that the parts of this folder share. */
import type { JsonObject } from '../../core/json.ts';
import type { Azure } from './azure.ts';
import type { Stack, StackResource } from './stack.ts';

/** The values that the arguments of a stack have in Azure. */
export interface Values {
  readonly stack: Stack;
  readonly azure: Azure;
  /** An argument of a resource as text; undefined if it is absent or its value is not known. */
  argument(resource: StackResource, name: string): Promise<string | undefined>;
  /** Azure id of a resource; undefined for a type without one, or if an argument of it is not known. */
  id(resource: StackResource): Promise<string | undefined>;
}

/** A resource of the stack that Azure has. */
export interface Existing {
  /** Azure's id of the resource itself. */
  readonly id: string;
  /** The id that `terraform import` takes. */
  readonly importId: string;
  readonly document: JsonObject;
}
