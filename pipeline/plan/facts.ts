/** The facts of a plan, in the words of the guard. `read.ts` makes them from `terraform show -json`. */
import type { Json, JsonObject } from '../../core/json.ts';

export type Action = 'nothing' | 'create' | 'read' | 'update' | 'replace' | 'delete';

/** A value of one attribute before and after. */
export interface AttributeChange {
  /** Names joined by dots, blocks without their position: `high_availability.mode`. */
  readonly path: string;
  /** Undefined if the attribute was not there. */
  readonly before: Json | undefined;
  /** Undefined if the attribute is not there, or is known only after the apply. */
  readonly after: Json | undefined;
  /** The value is known only after the apply. */
  readonly isUnknown: boolean;
  /** Terraform masks one of the values. */
  readonly isSensitive: boolean;
}

export interface ResourceChange {
  /** As Terraform has it: `module.database.azurerm_postgresql_flexible_server.this["a"]`. */
  readonly address: string;
  /** Address before a `moved` block. */
  readonly movedFrom?: string;
  readonly mode: 'managed' | 'data';
  readonly type: string;
  /** `registry.terraform.io/hashicorp/azurerm`. */
  readonly provider: string;
  /** The old object of an interrupted replacement. */
  readonly isDeposed: boolean;
  readonly action: Action;
  readonly isImported: boolean;
  readonly before: JsonObject;
  readonly after: JsonObject;
  /** Attributes that differ, sorted by path. Of a created or deleted resource, none. */
  readonly changed: readonly AttributeChange[];
  /** Paths that force the replacement. Empty for one by hand, by a taint or by a trigger. */
  readonly replacedFor: readonly string[];
  /** Terraform's reason: `replace_because_tainted`. */
  readonly reason?: string;
  /** Masks of the values: the same tree, with `true` at sensitive places. */
  readonly sensitive: { readonly before: Json | undefined; readonly after: Json | undefined };
  /** The same tree as `after`, with `true` at places that are known only after the apply. */
  readonly unknown: Json | undefined;
}

export interface PlanFacts {
  /** `1.11.4`. */
  readonly terraformVersion: string;
  /** Every managed resource and each deferred read, in the order of the plan, also those without a change. */
  readonly resources: readonly ResourceChange[];
  /** Changes that somebody made outside Terraform. */
  readonly drift: readonly ResourceChange[];
  /** Names of outputs that change. */
  readonly outputs: readonly string[];
  /** Checks that Terraform decides only during the apply. */
  readonly openChecks: readonly string[];
  /**
   * Failed assertions of `check` blocks. The apply goes on. Those of this project's stacks say that Terraform ignores an edit
   * of the settings (stacks/in-force.ts).
   */
  readonly warnings: readonly { readonly check: string; readonly message: string }[];
  /** Sources of the providers that run. */
  readonly providers: readonly string[];
  /** Texts and numbers of outputs and variables that Terraform masks. */
  readonly secrets: readonly string[];
  /** Whether azurerm restarts a server at once for a static parameter: its feature, by default on. */
  readonly restartsForParameters: boolean;
  /** By the address in the configuration, without indexes: the addresses that it refers to. */
  readonly needs: ReadonlyMap<string, readonly string[]>;
}

/** The address of the block in the configuration: without the keys of `count` and `for_each`. */
export function blockOf(address: string): string {
  return address.replace(/\[(?:\d+|"(?:[^"\\]|\\.)*")\]/g, '');
}
