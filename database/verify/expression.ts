/** Reading the conditions of policies and views as PostgreSQL prints them back. */

/** What the server makes of `tenant_id = (select nullif(current_setting('app.current_tenant_id', true), ''))`. */
const tenantCondition = "tenant_id=selectnullifcurrent_setting'app.current_tenant_id',true,''";

/**
 * Whether a condition keeps every row to the tenant of the transaction: the comparison alone, or with further
 * conditions joined by AND. An OR, a NOT or a CASE anywhere could let another row pass and does not count.
 */
export function isTenantBound(condition: string): boolean {
  const plain = condition
    .replace(/::(character varying|timestamp with time zone|[a-z_.]+)(\(\d+\))?(\[\])?/gi, '')
    .replace(/\bAS "?nullif"?/gi, '')
    .replace(/\bpg_catalog\./g, '')
    // A view's condition names its columns by table.
    .replace(/\b\w+\.tenant_id\b/g, 'tenant_id');
  if (/\b(OR|NOT|CASE|COALESCE)\b/i.test(withoutStrings(plain))) return false;
  return plain
    .split(/\bAND\b/i)
    .some((part) => part.replace(/[()\s;]/g, '').toLowerCase() === tenantCondition);
}

/** The tenant condition of a view's last WHERE, if that is what its definition ends with. */
export function viewIsTenantBound(definition: string): boolean {
  const where = definition.lastIndexOf(' WHERE ');
  if (where < 0 || /\b(UNION|INTERSECT|EXCEPT)\b/i.test(withoutStrings(definition))) return false;
  return isTenantBound(definition.slice(where + ' WHERE '.length));
}

/** Whether a setting is read outside a sub-select, which computes it for every row. */
export function readsSettingPerRow(condition: string): boolean {
  return /\bcurrent_setting\(/.test(withoutSubselects(condition));
}

/** Whether it reads the tenant without `missing_ok`, or takes '' (what SET LOCAL leaves behind) for a tenant. */
export function readsTenantUnsafely(condition: string): boolean {
  const readings = condition.match(/current_setting\('app\.current_tenant_id'/g)?.length ?? 0;
  const safe =
    condition.match(/nullif\((pg_catalog\.)?current_setting\('app\.current_tenant_id'(::text)?, true\), ''/gi)
      ?.length ?? 0;
  return safe < readings;
}

function withoutStrings(text: string): string {
  return text.replace(/'(?:[^']|'')*'/g, "''");
}

function withoutSubselects(text: string): string {
  for (let start = text.search(/\(\s*SELECT\b/i); start >= 0; start = text.search(/\(\s*SELECT\b/i)) {
    let depth = 0;
    let end = start;
    do {
      if (text[end] === '(') depth += 1;
      if (text[end] === ')') depth -= 1;
      end += 1;
    } while (depth > 0 && end < text.length);
    text = text.slice(0, start) + text.slice(end);
  }
  return text;
}
