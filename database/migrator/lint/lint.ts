/**
 * Lints migrations. Files are read in order, so that rules know the schema at each statement: partitioned tables, tables
 * with tenant data, and tables that the file itself creates.
 */
import { severities } from '../../../core/severity.ts';
import type { Allowance } from './allowances.ts';
import { isRule, ruleOf, rules } from './catalogue.ts';
import type { TableFacts } from './estimates.ts';
import { type ReadFile, readForLint } from './read.ts';
import type { Allowed, Context, Finding, Problem, Rule, Size, Statement, Unseen } from './rule.ts';
import { KnownSchema } from './schema.ts';
import { is, nameOf, subjectsOf, textOf } from './tree.ts';

export interface LintOptions {
  /** Paths of the files to lint, in order of application. */
  readonly files: readonly string[];
  /** Paths of earlier files. Their schema is known, and nothing in them is reported. @default [] */
  readonly before?: readonly string[];
  /** Sizes of the tables in a database. @default - partitioned tables count as large, others as of unknown size */
  readonly facts?: TableFacts;
}

export interface LintResult {
  /** Sorted by file and line. */
  readonly findings: readonly Finding[];
  readonly allowed: readonly Allowed[];
  /** SQL that could not be read. */
  readonly unseen: readonly Unseen[];
  readonly files: readonly string[];
}

/** Earlier files, by their list: a caller that lints many files after the same ones passes the same list. */
const known = new WeakMap<readonly string[], readonly ReadFile[]>();

/** @throws Fault (exit 2) if a file cannot be read */
export async function lint({ files, before = [], facts }: LintOptions): Promise<LintResult> {
  const schema = new KnownSchema();
  const earlier = known.get(before) ?? (await Promise.all(before.map(readForLint)));
  known.set(before, earlier);
  for (const { node, place } of earlier.flatMap(({ sections }) => sections.up)) {
    if (place !== 'function') schema.apply(node, place);
  }
  const old = new Set(faultsOf(schema).flatMap(({ keys }) => keys));
  const reports: FileReport[] = [];
  for (const path of files) {
    const report = new FileReport(await readForLint(path), schema, facts);
    report.run();
    reports.push(report);
  }
  for (const { rule, table, detail, parts, keys } of faultsOf(schema)) {
    const fresh = parts.filter((_, position) => !old.has(keys[position] ?? ''));
    if (fresh.length === 0) continue;
    const place =
      reports.find((report) => report.creates(table)) ??
      reports.findLast((report) => report.mentions(table)) ??
      reports.at(-1);
    place?.ofTable(rule, table, `${detail} ${fresh.join(', ')}`);
  }
  const ended = reports.map((report) => report.end());
  return {
    findings: ended.flatMap(({ findings }) => findings),
    allowed: ended.flatMap(({ allowed }) => allowed),
    unseen: ended.flatMap(({ unseen }) => unseen),
    files,
  };
}

/** Faults of the schema as a whole, with a key for each of their parts. */
function faultsOf(schema: KnownSchema) {
  return rules.flatMap(({ id, atEnd }) =>
    [...(atEnd?.(schema) ?? [])].map((problem) => ({
      ...problem,
      rule: id,
      keys: problem.parts.map((part) => [id, problem.table, problem.detail, part].join('\n')),
    })),
  );
}

class FileReport {
  readonly #file: ReadFile;
  readonly #schema: KnownSchema;
  readonly #facts: TableFacts | undefined;
  /** Tables and views that the file creates, with the statement. */
  readonly #created = new Map<string, Statement>();
  /** The last statement about each table and function. */
  readonly #mentioned = new Map<string, Statement>();
  readonly #found: (Finding & { readonly statement?: Statement })[] = [];

  constructor(file: ReadFile, schema: KnownSchema, facts: TableFacts | undefined) {
    this.#file = file;
    this.#schema = schema;
    this.#facts = facts;
  }

  run(): void {
    for (const { id, checkFile } of rules) {
      for (const { line, detail } of checkFile?.(this.#file) ?? []) this.#report(id, line, detail);
    }
    this.#section('up');
    this.#section('down');
  }

  #section(direction: 'up' | 'down'): void {
    const statements = this.#file.sections[direction];
    let role = this.#file.runAs === 'owner' ? 'llama_owner' : undefined;
    for (const statement of statements) {
      const at: Context = {
        file: this.#file,
        transactional: this.#file.transactional[direction],
        schema: this.#schema,
        statements,
        role,
        size: (table) => this.#size(table, direction),
        ...(this.#facts?.column ? { column: this.#facts.column } : {}),
      };
      for (const rule of rules) this.#apply(rule, statement, at);
      if (direction === 'down' || statement.place === 'function') continue;
      const set = is(statement.node, 'VariableSetStmt');
      if (set?.name === 'role' && statement.place === 'migration') {
        const name = textOf(set.args?.[0]);
        role = set.kind !== 'VAR_SET_VALUE' || name === 'none' ? undefined : name;
      }
      const created =
        is(statement.node, 'CreateStmt')?.relation ?? is(statement.node, 'CreateTableAsStmt')?.into?.rel;
      const replaced = is(statement.node, 'ViewStmt')?.view;
      for (const relation of [created, replaced]) {
        if (relation && !this.#created.has(nameOf(relation))) this.#created.set(nameOf(relation), statement);
      }
      for (const name of subjectsOf(statement.node)) this.#mentioned.set(name, statement);
      this.#schema.apply(statement.node, statement.place);
    }
  }

  #apply(rule: Rule, statement: Statement, at: Context): void {
    if (!(rule.sections ?? ['up']).includes(statement.section)) return;
    if (!(rule.places ?? ['migration', 'block']).includes(statement.place)) return;
    for (const problem of rule.check?.(statement, at) ?? []) {
      const weight = weigh(rule, problem, at);
      if (weight === undefined) continue;
      const line =
        problem.line ??
        (problem.location === undefined ? statement.line : statement.lineAt(problem.location));
      this.#report(rule.id, line, problem.detail + weight.note, { severity: weight.severity, statement });
    }
  }

  creates(table: string): boolean {
    return this.#created.has(table);
  }

  mentions(table: string): boolean {
    return this.#mentioned.has(table);
  }

  /** Reports a finding about a table where the file creates it, or else at the last statement about it. */
  ofTable(rule: string, table: string, detail: string): void {
    const statement = this.#created.get(table) ?? this.#mentioned.get(table);
    this.#report(rule, statement?.line ?? 1, detail, statement ? { statement } : {});
  }

  #report(
    rule: string,
    line: number,
    detail: string,
    more: { readonly severity?: Finding['severity']; readonly statement?: Statement } = {},
  ): void {
    const { severity = ruleOf(rule).severity, statement } = more;
    this.#found.push({
      rule,
      severity,
      path: this.#file.path,
      line,
      detail,
      ...(statement ? { statement: statement.top } : {}),
    });
  }

  #size(table: string, direction: 'up' | 'down'): Size {
    if (direction === 'up' && this.#created.has(table)) return 'new';
    if (this.#facts) return this.#facts.sizeOf(table) ?? 'new';
    return this.#schema.isPartitioned(table) ? 'large' : 'unknown';
  }

  /** The findings without the allowed ones, and the findings about allowances. */
  end(): Pick<LintResult, 'findings' | 'allowed' | 'unseen'> {
    const { path, allowances } = this.#file;
    const allowanceFor = byFinding(allowances);
    const used = new Set<Allowance>();
    const findings: Finding[] = [];
    const allowed: Allowed[] = [];
    for (const { statement, ...finding } of this.#found) {
      const allowance = allowanceFor(finding.rule, statement);
      if (allowance) {
        used.add(allowance);
        allowed.push({ ...finding, reason: allowance.reason });
      } else findings.push(finding);
    }
    for (const allowance of allowances) {
      const { rule, reason, line } = allowance;
      const facts = { rule, reason, known: isRule(rule), used: used.has(allowance) };
      for (const { id, severity, checkAllowance } of rules) {
        const detail = checkAllowance?.(facts);
        if (detail !== undefined) findings.push({ rule: id, severity, path, line, detail });
      }
    }
    findings.sort((a, b) => a.line - b.line || a.rule.localeCompare(b.rule));
    return { findings, allowed, unseen: this.#file.unseen.map((unseen) => ({ path, ...unseen })) };
  }
}

/** The first allowance with a reason for a finding: of its statement, or of the file if it has none. */
function byFinding(allowances: readonly Allowance[]) {
  const found = new Map<string, Map<Statement | undefined, Allowance>>();
  for (const allowance of allowances) {
    if (allowance.reason === '') continue;
    const ofRule = found.get(allowance.rule) ?? new Map<Statement | undefined, Allowance>();
    found.set(allowance.rule, ofRule);
    const subjects = allowance.statements.size === 0 ? [undefined] : allowance.statements;
    for (const subject of subjects) if (!ofRule.has(subject)) ofRule.set(subject, allowance);
  }
  return (rule: string, statement: Statement | undefined) => found.get(rule)?.get(statement);
}

/** Severity of a problem with regard to the size of its table; undefined if the size makes it harmless. */
function weigh(
  rule: Rule,
  { table }: Problem,
  at: Context,
): { readonly severity: Rule['severity']; readonly note: string } | undefined {
  const { matters = 'always', severity } = rule;
  const size = table === undefined || matters === 'always' ? 'large' : at.size(table);
  if (size === 'new') return undefined;
  if (matters !== 'large' || size === 'large') return { severity, note: '' };
  if (size === 'small') return undefined;
  return { severity: 'low', note: ' (harmless while the table is small; its size is unknown)' };
}

/** Whether a severity is at or above the threshold of `--fail-on`. */
export function isAtLeast(severity: Finding['severity'], threshold: Finding['severity']): boolean {
  return severities.indexOf(severity) <= severities.indexOf(threshold);
}
