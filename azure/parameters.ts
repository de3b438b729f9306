/** Server parameters: lookup, values as Azure spells them, and reasons to refuse a value. */
import { type Parameter, parameterCatalogue } from './parameter-catalogue.ts';

export { type Parameter, parameterCatalogue } from './parameter-catalogue.ts';

export const parametersSource =
  'https://learn.microsoft.com/azure/postgresql/server-parameters/concepts-server-parameters';

export type ParameterInput = string | number | boolean;

/**
 * Prefixes of the parameters of extensions that are not catalogued here, because they change with the extension's
 * version. A name with one of these prefixes is accepted if its extension is present. Any other unknown name is refused,
 * because Azure refuses it only in the middle of an apply.
 */
export const extensionNamespaces: Readonly<Record<string, string>> = {
  anon: 'anon',
  auto_explain: 'auto_explain',
  azure_storage: 'azure_storage',
  credcheck: 'credcheck',
  duckdb: 'pg_duckdb',
  login_hook: 'login_hook',
  pg_hint_plan: 'pg_hint_plan',
  pg_partman_bgw: 'pg_partman',
  pg_prewarm: 'pg_prewarm',
  pglogical: 'pglogical',
  plv8: 'plv8',
  postgis: 'postgis',
  squeeze: 'pg_squeeze',
  timescaledb: 'timescaledb',
  hnsw: 'vector',
  ivfflat: 'vector',
};

/** Extension or library of an uncatalogued parameter. Undefined if its prefix is unknown. */
export function extensionOfParameter(name: string): string | undefined {
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : extensionNamespaces[name.slice(0, dot)];
}

export function parameter(name: string): Parameter | undefined {
  return Object.hasOwn(parameterCatalogue, name) ? parameterCatalogue[name] : undefined;
}

/** Limits that a standby needs at least as high as its primary has them. */
export const parametersInheritedByStandby: readonly string[] = Object.keys(parameterCatalogue).filter(
  (name) => parameter(name)?.inheritedByStandby,
);

/**
 * Whether a change waits for a restart. An uncatalogued parameter counts as static, which costs at most one query: the
 * post-deploy step asks the server whether a restart is pending.
 */
export function isStatic(name: string): boolean {
  return parameter(name)?.apply !== 'dynamic';
}

/** Value as Azure spells it: plain numbers, lower-case `on`/`off` (PgBouncer's own switch: `true`/`false`). */
export function azureValue(name: string, value: ParameterInput): string {
  if (typeof value !== 'boolean') return String(value);
  const [yes = 'on', no = 'off'] = parameter(name)?.kind === 'boolean' ? (parameter(name)?.values ?? []) : [];
  return value ? yes : no;
}

/** The reason to refuse a value, as the second half of a sentence. Undefined if the value is valid. */
export function refusal(known: Parameter, name: string, value: ParameterInput): string | undefined {
  const spelled = azureValue(name, value);
  switch (known.kind) {
    case 'boolean':
    case 'enum':
      return known.values?.includes(spelled) ? undefined : `must be one of ${known.values?.join(', ')}`;
    case 'integer':
    case 'real':
      return numberRefusal(known, spelled);
    case 'set':
      return setRefusal(known, spelled);
    case 'string':
      // azurerm reads an empty value and refuses to set one (StringIsNotEmpty).
      if (spelled === '') return 'must not be empty';
      return known.pattern && !new RegExp(`^(?:${known.pattern.source})$`).test(spelled)
        ? `must match ${known.pattern.source}`
        : undefined;
  }
}

function numberRefusal(known: Parameter, spelled: string): string | undefined {
  const unit = known.unit ? ` in units of ${known.unit}` : '';
  const shape = known.kind === 'integer' ? /^-?\d+$/ : /^-?\d+(\.\d+)?$/;
  const range = `must be ${known.kind === 'integer' ? 'a whole number' : 'a number'}${unit} from ${known.minimum} to ${known.maximum}`;
  if (!shape.test(spelled)) return range;
  const number = Number(spelled);
  return number >= (known.minimum ?? -Infinity) && number <= (known.maximum ?? Infinity) ? undefined : range;
}

function setRefusal(known: Parameter, spelled: string): string | undefined {
  const members = spelled.split(',');
  const allowed = known.values;
  if (spelled === '') return 'must not be empty';
  if (allowed === undefined) return undefined;
  return members.every((member) => allowed.includes(member))
    ? undefined
    : `must be a comma-separated list, without spaces, of ${allowed.join(', ')}`;
}
