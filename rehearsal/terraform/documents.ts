/** Changes to a synthesized stack that a rehearsal makes between synthesis and Terraform. */

/**
 * Resources that the provider watches for about two minutes each before it believes that they are there: alerts (10
 * looks, 15 s apart) and locks (12 looks, 10 s apart); the numbers are in its source, version 4.55.0.
 */
export const watched = ['azurerm_monitor_metric_alert', 'azurerm_management_lock'] as const;

export interface Changes {
  /** Resource types that are left out, with whatever waits for them. @default - none */
  readonly leftOut?: readonly string[];
  /** Resource ids that the state is to take over, by address. @default - none */
  readonly imports?: Readonly<Record<string, string>>;
}

/** The same stack, changed; `document` is the text of a `cdk.tf.json`. */
export function changed(document: string, { leftOut = [], imports = {} }: Changes): string {
  const stack = JSON.parse(document);
  for (const type of leftOut) delete stack.resource[type];
  const entries = Object.entries(imports);
  if (entries.length > 0) stack.import = entries.map(([to, id]) => ({ to, id }));
  const gone = new RegExp(`^(?:${leftOut.join('|')})\\.`);
  return JSON.stringify(leftOut.length > 0 ? withoutWaiting(stack, gone) : stack, undefined, 2);
}

function withoutWaiting(value: unknown, gone: RegExp, key?: string): unknown {
  if (Array.isArray(value))
    return value
      .filter((item) => key !== 'depends_on' || typeof item !== 'string' || !gone.test(item))
      .map((item) => withoutWaiting(item, gone));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withoutWaiting(inner, gone, name)]),
  );
}
