/** Reading the conditions of policies and views as PostgreSQL prints them back. */

/** What the server makes of `tenant_id = (select nullif(current_setting('app.current_tenant_id', true), ''))`. */
const tenantCondition = "tenant_id=selectnullifcurrent_setting'app.current_tenant_id',true,''";

/**
 * Whether a condition keeps every row to the tenant of the transaction: the comparison alone, or with further
 * conditions joined to it by AND. An OR, a NOT or a CASE anywhere could let another row pass and does not count.
 */
export function isTenantBound(condition: string): boolean {
  const plain = condition
    // The casts that the server adds. One to a length would compare the beginnings of names.
    .replace(/::(text|character varying)(?![(\w[])/gi, '')
    .replace(/\bAS "?nullif"?/gi, '')
    .replace(/\bpg_catalog\./g, '')
    // A view's condition names its columns by table.
    .replace(/\b\w+\.tenant_id\b/g, 'tenant_id');
  if (/\b(OR|NOT|CASE|COALESCE)\b/i.test(withoutStrings(plain))) return false;
  return conjuncts(plain).some((part) => part.replace(/[()\s;]/g, '').toLowerCase() === tenantCondition);
}

/** What a condition joins by AND, in brackets or not: an AND inside an operand of something else joins nothing. */
function conjuncts(condition: string): readonly string[] {
  const text = condition.trim().replace(/;$/, '').trim();
  const inner = /^\((.*)\)$/s.exec(text)?.[1];
  if (inner !== undefined && isBalanced(inner)) return conjuncts(inner);
  const parts = atTopLevel(text, /^AND\b/i).map(([part]) => part);
  return parts.length === 1 ? [text] : parts.flatMap(conjuncts);
}

/**
 * Whether a view shows rows of one relation and its WHERE keeps them to the tenant. Joins, set operations and sub-selects
 * in what it shows do not count: that one side is bound says nothing of the others.
 */
export function viewIsTenantBound(definition: string): boolean {
  const clauses = new Map<string, string>();
  const text = definition.trim().replace(/;$/, '');
  for (const [body, keyword] of atTopLevel(text, clause)) {
    if (clauses.has(keyword) || /^(UNION|INTERSECT|EXCEPT|WITH)$/.test(keyword)) return false;
    clauses.set(keyword, body.trim());
  }
  const from = clauses.get('FROM') ?? '';
  const condition = clauses.get('WHERE');
  const others = /\bSELECT\b/i.test(withoutStrings(clauses.get('SELECT') ?? ''));
  return condition !== undefined && !others && oneRelation.test(from) && isTenantBound(condition);
}

const clause =
  /^(WITH|SELECT|FROM|WHERE|GROUP BY|HAVING|WINDOW|UNION|INTERSECT|EXCEPT|ORDER BY|LIMIT|OFFSET|FETCH|FOR)\b/i;

/** `llama.summary`, `llama.summary s`, as the server prints them. */
const oneRelation = /^("[^"]+"|\w+)(\.("[^"]+"|\w+))?(\s+("[^"]+"|\w+))?$/;

/** Pieces of a text between words that stand in no brackets and no string, each with the word before it, in capitals. */
function atTopLevel(text: string, word: RegExp): [piece: string, word: string][] {
  const pieces: [string, string][] = [['', '']];
  let depth = 0;
  for (let place = 0; place < text.length; ) {
    const rest = text.slice(place);
    const quoted = /^(?:'(?:[^']|'')*'|"(?:[^"]|"")*")/.exec(rest)?.[0];
    const begins = quoted === undefined && depth === 0 && !/\w/.test(text[place - 1] ?? '');
    const found = begins ? word.exec(rest) : null;
    if (found) pieces.push(['', found[0].toUpperCase()]);
    const taken = found?.[0] ?? quoted ?? rest.charAt(0);
    if (!found) {
      depth += taken === '(' ? 1 : taken === ')' ? -1 : 0;
      const last = pieces.at(-1);
      if (last) last[0] += taken;
    }
    place += taken.length;
  }
  return pieces.filter(([piece, before]) => before !== '' || piece.trim() !== '');
}

/** Whether no bracket is closed that was not opened in it. */
function isBalanced(text: string): boolean {
  let depth = 0;
  for (const character of withoutStrings(text)) {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0;
    if (depth < 0) return false;
  }
  return depth === 0;
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
