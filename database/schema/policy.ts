/**
 * Reads the conditions of policies and views, as the server prints them, with PostgreSQL's own parser.
 *
 * `loadParser` must have been awaited before any other function is called.
 */
import { loadModule, type Node, parseSync, type SelectStmt } from 'libpg-query';
import { all, dotted, every, is, relationsIn, textOf } from '../migrator/lint/tree.ts';
import { tenantColumn } from './roles.ts';

/** Loads the parser, which is WebAssembly. Later calls return at once. */
export const loadParser = loadModule;

const tenantSetting = 'app.current_tenant_id';

/** Parts of a SELECT that only computes a value; every other part could change which value that is. */
const plainSelect = new Set(['targetList', 'limitOption', 'op']);

/**
 * Whether a condition limits every row to the tenant of the transaction: `tenant_id = (SELECT
 * nullif(current_setting('app.current_tenant_id', true), ''))`, alone or with further conditions joined by AND. OR, NOT,
 * CASE and COALESCE could let another row pass, so a condition that has one of them anywhere does not count.
 *
 * @throws SqlError if the text cannot be parsed
 */
export function isTenantBound(condition: string): boolean {
  return bindsTenant(expressionOf(condition));
}

/**
 * Whether a view shows rows of one relation and its WHERE limits them to the tenant. Joins, set operations, WITH and
 * subqueries in the select list do not count: a condition on one side says nothing about the others.
 *
 * @throws SqlError if the text cannot be parsed
 */
export function viewIsTenantBound(definition: string): boolean {
  const select = selectOf(definition);
  if (select?.op !== 'SETOP_NONE' || select.withClause) return false;
  const [from, ...others] = select.fromClause ?? [];
  const relation = is(from, 'RangeVar');
  // An alias with columns can give the name tenant_id to any column.
  if (!relation || relation.alias?.colnames || others.length > 0) return false;
  const hasSubquery = every(select.targetList, 'SubLink').length > 0;
  return !hasSubquery && select.whereClause !== undefined && bindsTenant(select.whereClause);
}

/** Whether a condition reads a setting outside a subquery, so that the server reads it for every row. */
export function readsSettingPerRow(condition: string): boolean {
  return every(expressionOf(condition), 'FuncCall').some(
    (call) => isSettingCall(call) && !call.inside.includes('SubLink'),
  );
}

/**
 * Whether a condition reads the tenant without `missing_ok`, or without taking `''` for an unset tenant: after SET LOCAL
 * the setting is `''` for the rest of the session.
 */
export function readsTenantUnsafely(condition: string): boolean {
  return hasUnguardedTenant(expressionOf(condition));
}

/** The same for every part of a view. */
export function viewReadsTenantUnsafely(definition: string): boolean {
  return hasUnguardedTenant(parseSync(definition));
}

/** Whether a condition reads a table in a subquery. */
export function readsTable(condition: string): boolean {
  return relationsIn(expressionOf(condition)).length > 0;
}

type Call = { readonly funcname?: Node[]; readonly args?: Node[] };
type Operation = {
  readonly kind?: string;
  readonly name?: Node[];
  readonly lexpr?: Node;
  readonly rexpr?: Node;
};

function selectOf(sql: string): SelectStmt | undefined {
  const [statement] = parseSync(sql).stmts ?? [];
  return is(statement?.stmt, 'SelectStmt');
}

function expressionOf(condition: string): Node | undefined {
  return all(selectOf(`SELECT ${condition}`)?.targetList, 'ResTarget')[0]?.val;
}

function hasUnguardedTenant(root: unknown): boolean {
  const isTenantCall = (call: Call) => isSettingCall(call) && textOf(call.args?.[0]) === tenantSetting;
  const guarded = every(root, 'A_Expr').filter(isGuardedTenant).length;
  return every(root, 'FuncCall').filter(isTenantCall).length > guarded;
}

/** The same as `isTenantBound` for a parsed condition. */
export function bindsTenant(condition: Node | undefined): boolean {
  const opensAgain =
    every(condition, 'BoolExpr').some(({ boolop }) => boolop !== 'AND_EXPR') ||
    every(condition, 'CaseExpr').length > 0 ||
    every(condition, 'CoalesceExpr').length > 0;
  return !opensAgain && conjuncts(condition).some(comparesTenant);
}

/** The conditions that AND joins, at any depth of brackets. */
function conjuncts(condition: Node | undefined): readonly Node[] {
  const and = is(condition, 'BoolExpr');
  if (and?.boolop === 'AND_EXPR') return (and.args ?? []).flatMap(conjuncts);
  return condition ? [condition] : [];
}

function comparesTenant(condition: Node): boolean {
  const comparison = is(condition, 'A_Expr');
  if (comparison?.kind !== 'AEXPR_OP' || dotted(comparison.name) !== '=') return false;
  const column = is(withoutCast(comparison.lexpr), 'ColumnRef');
  const link = is(comparison.rexpr, 'SubLink');
  const select = link?.subLinkType === 'EXPR_SUBLINK' ? is(link.subselect, 'SelectStmt') : undefined;
  const [value, ...others] = all(select?.targetList, 'ResTarget');
  const nullif = is(value?.val, 'A_Expr');
  return (
    dotted(column?.fields).split('.').at(-1) === tenantColumn &&
    select !== undefined &&
    Object.keys(select).every((part) => plainSelect.has(part)) &&
    others.length === 0 &&
    nullif !== undefined &&
    isGuardedTenant(nullif)
  );
}

/** Without the casts that the server adds. A cast to a length would compare the beginnings of names. */
function withoutCast(node: Node | undefined): Node | undefined {
  const cast = is(node, 'TypeCast');
  if (!cast || cast.typeName?.typmods) return node;
  const type = dotted(cast.typeName?.names).replace(/^pg_catalog\./, '');
  return type === 'text' || type === 'varchar' ? withoutCast(cast.arg) : node;
}

/** `nullif(current_setting('app.current_tenant_id', true), '')`. */
function isGuardedTenant({ kind, lexpr, rexpr }: Operation): boolean {
  const call = is(lexpr, 'FuncCall');
  return (
    kind === 'AEXPR_NULLIF' &&
    textOf(rexpr) === '' &&
    call !== undefined &&
    isSettingCall(call) &&
    textOf(call.args?.[0]) === tenantSetting &&
    textOf(call.args?.[1]) === 'true'
  );
}

const isSettingCall = ({ funcname }: Call) =>
  dotted(funcname).replace(/^pg_catalog\./, '') === 'current_setting';
