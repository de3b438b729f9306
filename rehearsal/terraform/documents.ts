/** Changes that a rehearsal makes to a synthesized stack before Terraform reads it. */

/**
 * Resource types that azurerm 4.55.0 polls for about two minutes each before it reports success: metric alerts (10
 * reads, 15 s apart) and management locks (12 reads, 10 s apart). Source: the provider's code of that version.
 */
export const slowTypes = ['azurerm_monitor_metric_alert', 'azurerm_management_lock'] as const;

export interface Changes {
  /** Resource types to leave out. References to them in `depends_on`, outputs and checks go too. @default - none */
  readonly leftOut?: readonly string[];
  /** Resource types to keep; all others are left out. @default - all */
  readonly only?: readonly string[];
  /** Azure ids to import into the state, by address. @default - none */
  readonly imports?: Readonly<Record<string, string>>;
}

/**
 * Applies the changes to the text of a `cdk.tf.json`.
 *
 * @returns the new text
 */
export function changeDocument(document: string, changes: Changes): string {
  const stack = JSON.parse(document);
  const leftOut = [...(changes.leftOut ?? []), ...typesOutside(stack.resource, changes.only)];
  for (const type of leftOut) delete stack.resource[type];
  const imports = Object.entries(changes.imports ?? {});
  if (imports.length > 0) stack.import = imports.map(([to, id]) => ({ to, id }));
  if (leftOut.length === 0) return JSON.stringify(stack, undefined, 2);
  const types = leftOut.join('|');
  const gone = new RegExp(`\\b(?:${types})\\.`);
  for (const block of ['output', 'check']) {
    const kept = Object.entries(stack[block] ?? {}).filter(([, value]) => !gone.test(JSON.stringify(value)));
    // Terraform refuses an empty object of checks.
    if (kept.length > 0) stack[block] = Object.fromEntries(kept);
    else delete stack[block];
  }
  return JSON.stringify(withoutDependencies(stack, new RegExp(`^(?:${types})\\.`)), undefined, 2);
}

function typesOutside(resources: object, only: readonly string[] | undefined): string[] {
  return only === undefined ? [] : Object.keys(resources).filter((type) => !only.includes(type));
}

function withoutDependencies(value: unknown, leftOut: RegExp, key?: string): unknown {
  if (Array.isArray(value))
    return value
      .filter((item) => key !== 'depends_on' || typeof item !== 'string' || !leftOut.test(item))
      .map((item) => withoutDependencies(item, leftOut));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withoutDependencies(inner, leftOut, name)]),
  );
}
