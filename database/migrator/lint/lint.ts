/**
 * The lint of migrations: every file is read in order, so that a rule knows which tables are partitioned, which hold
 * tenants' rows and which the file itself has just made.
 */
import { severities } from '../../../core/severity.ts';
import type { Allowance } from './allowances.ts';
import { isRule, ruleOf, rules } from './catalogue.ts';
import type { TableFacts } from './estimates.ts';
import { type ReadFile, readForLint } from './read.ts';
import type { Allowed, Context, Finding, Problem, Rule, Size, Statement, Unseen } from './rule.ts';
import { openTables } from './rules/tenants.ts';
import { KnownSchema } from './schema.ts';
import { is, nameOf, textOf } from './tree.ts';

export interface LintOptions {
  /** Paths of the files to look at, in order of application. */
  readonly files: readonly string[];
  /** Paths of the files that come before them: what those make is known, and nothing in them is reported. @default [] */
  readonly before?: readonly string[];
  /** What a database knows of its tables. @default - partitioned tables count as large, others as of unknown size */
  readonly facts?: TableFacts;
}

export interface LintResult {
  /** By file and line. */
  readonly findings: readonly Finding[];
  readonly allowed: readonly Allowed[];
  /** What nobody looked at, because it cannot be read. */
  readonly unseen: readonly Unseen[];
  readonly files: readonly string[];
}

/** @throws Fault (exit 2) for a file that cannot be read */
export async function lint({ files, before = [], facts }: LintOptions): Promise<LintResult> {
  const schema = new KnownSchema();
  for (const path of before) for (const { node } of (await readForLint(path)).sections.up) schema.apply(node);
  const reports: FileReport[] = [];
  for (const path of files) {
    const report = new FileReport(await readForLint(path), schema, facts);
    report.run();
    reports.push(report);
  }
  for (const { table, lacks } of openTables(schema)) {
    for (const report of reports) report.open(table, lacks);
  }
  const ended = reports.map((report) => report.end());
  return {
    findings: ended.flatMap(({ findings }) => findings),
    allowed: ended.flatMap(({ allowed }) => allowed),
    unseen: ended.flatMap(({ unseen }) => unseen),
    files,
  };
}

class FileReport {
  readonly #file: ReadFile;
  readonly #schema: KnownSchema;
  readonly #facts: TableFacts | undefined;
  readonly #made = new Map<string, Statement>();
  readonly #found: (Finding & { readonly statement?: Statement })[] = [];

  constructor(file: ReadFile, schema: KnownSchema, facts: TableFacts | undefined) {
    this.#file = file;
    this.#schema = schema;
    this.#facts = facts;
  }

  run(): void {
    const { errors, hasDown } = this.#file;
    for (const { line, message } of errors) this.#report('syntax-error', line, message);
    if (!hasDown) this.#report('no-down', 1, 'there is no Down section');
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
      };
      for (const rule of rules) this.#apply(rule, statement, at);
      if (direction === 'down' || statement.place === 'function') continue;
      const set = is(statement.node, 'VariableSetStmt');
      if (set?.name === 'role' && statement.place === 'migration') {
        const name = textOf(set.args?.[0]);
        role = set.kind !== 'VAR_SET_VALUE' || name === 'none' ? undefined : name;
      }
      const made =
        is(statement.node, 'CreateStmt')?.relation ?? is(statement.node, 'CreateTableAsStmt')?.into?.rel;
      const replaced = is(statement.node, 'ViewStmt')?.view;
      for (const relation of [made, replaced]) {
        if (relation && !this.#made.has(nameOf(relation))) this.#made.set(nameOf(relation), statement);
      }
      this.#schema.apply(statement.node);
    }
  }

  #apply(rule: Rule, statement: Statement, at: Context): void {
    if (!(rule.sections ?? ['up']).includes(statement.section)) return;
    if (!(rule.places ?? ['migration', 'block']).includes(statement.place)) return;
    for (const problem of rule.check(statement, at)) {
      const weight = weigh(rule, problem, at);
      if (weight === undefined) continue;
      const line =
        problem.line ??
        (problem.location === undefined ? statement.line : statement.lineAt(problem.location));
      this.#report(rule.id, line, problem.detail + weight.note, { severity: weight.severity, statement });
    }
  }

  /** A table that stays open when every file has run. */
  open(table: string, lacks: string): void {
    const statement = this.#made.get(table);
    if (statement)
      this.#report('tenant-table-open', statement.line, `${table} lacks ${lacks}`, { statement });
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
    if (direction === 'up' && this.#made.has(table)) return 'new';
    if (this.#facts) return this.#facts.sizeOf(table) ?? 'new';
    return this.#schema.isPartitioned(table) ? 'large' : 'unknown';
  }

  /** What remains once the file's allowances are taken off, and what is wrong with these. */
  end(): Pick<LintResult, 'findings' | 'allowed' | 'unseen'> {
    const { path, allowances } = this.#file;
    const used = new Set<Allowance>();
    const findings: Finding[] = [];
    const allowed: Allowed[] = [];
    for (const { statement, ...finding } of this.#found) {
      const allowance = allowances.find(
        ({ rule, reason, statements }) =>
          rule === finding.rule &&
          reason !== '' &&
          (statement ? statements.has(statement) : statements.size === 0),
      );
      if (allowance) {
        used.add(allowance);
        allowed.push({ ...finding, reason: allowance.reason });
      } else findings.push(finding);
    }
    for (const allowance of allowances) {
      const { rule, reason, line } = allowance;
      const report = (id: string, detail: string) =>
        findings.push({ rule: id, severity: ruleOf(id).severity, path, line, detail });
      if (!isRule(rule)) report('allowance-of-no-rule', `there is no rule "${rule}"`);
      else if (reason === '') report('allowance-without-reason', `why ${rule} is allowed is not said`);
      else if (!used.has(allowance)) report('allowance-unused', `${rule} finds nothing here`);
    }
    findings.sort((a, b) => a.line - b.line || a.rule.localeCompare(b.rule));
    return { findings, allowed, unseen: this.#file.unseen.map((unseen) => ({ path, ...unseen })) };
  }
}

/** Severity of a problem, by how much the size of its table makes it matter; undefined where it does not. */
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
  return { severity: 'low', note: ' (harmless while the table is small; its size is not known here)' };
}

/** Whether a finding counts for `--fail-on`. */
export function isAtLeast(severity: Finding['severity'], threshold: Finding['severity']): boolean {
  return severities.indexOf(severity) <= severities.indexOf(threshold);
}
