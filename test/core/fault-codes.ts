/** Reads the faults of the project from its sources, for the page docs/faults.md. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** A place in the sources that makes a Fault. Texts have the names of their values in braces. */
export interface FaultSite {
  readonly code: string;
  readonly file: string;
  /** Undefined if the place passes on the text of another fault. */
  readonly what: string | undefined;
  readonly why: string | undefined;
  readonly remedy: string | undefined;
}

/** Stands for a code that is neither a literal nor passed on. */
export const unreadable = 'unreadable/code';

/** Classes of explained errors; the runtime package has its own. */
const faultClass = /^(Fault|ConfigurationError|EncryptionError|DatabaseFailure)$/;

type FaultExpression = ts.NewExpression | ts.CallExpression;

const codePattern = /^[a-z][a-z0-9-]*\/[a-z0-9-]+$/;

/**
 * Every place that makes a Fault: `new Fault(…)`, `super(…)` in a subclass, calls of a function of the same file with a parameter
 * of type FaultCode, and arrays `[code, what, why, remedy]` in a file that imports FaultCode.
 */
export function readFaults(files: readonly string[] = sourceFiles()): FaultSite[] {
  return files.flatMap((file) => new FileReader(file, readFileSync(file, 'utf8')).read());
}

/** Sources of the project without its tests. */
export function sourceFiles(): string[] {
  const command = ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'];
  return execFileSync('git', command, { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file !== '' && !file.startsWith('test/'));
}

class FileReader {
  readonly #file: string;
  readonly #source: ts.SourceFile;
  readonly #sites: FaultSite[] = [];
  /** Functions with a parameter of type FaultCode: its position, and the fault that they make. */
  readonly #makers = new Map<
    string,
    { readonly parameters: readonly string[]; readonly fault: FaultExpression }
  >();
  /** Subclasses whose code is a prefix and the first argument. */
  readonly #prefixes = new Map<string, string>([['EncryptionError', 'encryption']]);

  constructor(file: string, text: string) {
    this.#file = file;
    this.#source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  }

  read(): FaultSite[] {
    this.#each(this.#source, (node) => this.#findMaker(node));
    this.#each(this.#source, (node) => this.#findSite(node));
    return this.#sites;
  }

  #each(node: ts.Node, visit: (node: ts.Node) => void): void {
    visit(node);
    node.forEachChild((child) => this.#each(child, visit));
  }

  #findMaker(node: ts.Node): void {
    if (!ts.isFunctionDeclaration(node) && !ts.isArrowFunction(node)) return;
    if (!node.parameters.some((parameter) => parameter.type?.getText() === 'FaultCode')) return;
    const owner = ts.isFunctionDeclaration(node) ? node.name : nameOfVariable(node);
    this.#each(node, (inner) => {
      if (!owner || !isFault(inner)) return;
      const parameters = node.parameters.map((parameter) => parameter.name.getText());
      this.#makers.set(owner.getText(), { parameters, fault: inner });
    });
  }

  #findSite(node: ts.Node): void {
    if (isFault(node)) {
      const [code, ...texts] = node.arguments ?? [];
      const prefix = this.#prefixes.get(node.expression.getText());
      const literals = literalsOf(code);
      const passedOn = /^(\w+\.)?(code|problem)$/.test(code?.getText() ?? '');
      if (literals.length === 0 && !passedOn)
        this.#add(
          unreadable,
          texts.map((text) => shown(text)),
        );
      for (const [branch, literal] of literals.entries()) {
        const name = prefix === undefined ? literal : `${prefix}/${literal}`;
        this.#add(
          name,
          texts.map((text) => shown(text, branch)),
        );
      }
    } else if (ts.isCallExpression(node)) {
      const maker = this.#makers.get(node.expression.getText());
      if (!maker) return;
      const given = new Map(maker.parameters.map((name, index) => [name, node.arguments[index]]));
      const [code, ...texts] = (maker.fault.arguments ?? []).map(
        (argument) => given.get(argument.getText()) ?? argument,
      );
      for (const literal of literalsOf(code))
        this.#add(
          literal,
          texts.map((text) => shown(text)),
        );
    } else if (ts.isArrayLiteralExpression(node) && /\bFaultCode\b/.test(this.#source.text)) {
      const [code, ...texts] = node.elements;
      if (code && ts.isStringLiteral(code) && codePattern.test(code.text) && texts.length === 3) {
        this.#add(
          code.text,
          texts.map((text) => shown(text)),
        );
      }
    }
  }

  #add(code: string, [what, why, remedy]: readonly (string | undefined)[]): void {
    if (codePattern.test(code)) this.#sites.push({ code, file: this.#file, what, why, remedy });
  }
}

/** `new Fault(…)`, or `super(…)` in a subclass. */
function isFault(node: ts.Node): node is FaultExpression {
  if (ts.isNewExpression(node)) return faultClass.test(node.expression.getText());
  if (!ts.isCallExpression(node) || node.expression.kind !== ts.SyntaxKind.SuperKeyword) return false;
  const owner = ts.findAncestor(node, ts.isClassDeclaration);
  return (
    owner?.heritageClauses?.some(({ types }) => types.some((type) => faultClass.test(type.getText()))) ??
    false
  );
}

function nameOfVariable(node: ts.Node): ts.Node | undefined {
  return ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined;
}

/** The string literals that an expression can be. */
function literalsOf(node: ts.Expression | undefined): string[] {
  if (!node) return [];
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isConditionalExpression(node)) return [...literalsOf(node.whenTrue), ...literalsOf(node.whenFalse)];
  return [];
}

/**
 * A text with the names of its values in braces; undefined for the text of another fault.
 *
 * @param branch number of the alternative to show. @default 0, the first
 */
function shown(node: ts.Expression, branch = 0): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (ts.isTemplateExpression(node)) {
    const spans = node.templateSpans.map(({ expression, literal }) => value(expression) + literal.text);
    return [node.head.text, ...spans].join('');
  }
  if (ts.isConditionalExpression(node))
    return branch === 0 ? shown(node.whenTrue) : shown(node.whenFalse, branch - 1);
  if (ts.isBinaryExpression(node)) {
    if (node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return shown(node.left) ?? shown(node.right);
    return [node.left, node.right].map((side) => shown(side) ?? value(side)).join('');
  }
  if (ts.isParenthesizedExpression(node)) return shown(node.expression);
  if (ts.isIdentifier(node)) {
    const constant = constantOf(node);
    if (constant) return shown(constant, branch);
  }
  if (ts.isPropertyAccessExpression(node) && /^(what|why|remedy)$/.test(node.name.text)) return undefined;
  return value(node);
}

/** The text of a constant that is declared in a block around its use. */
function constantOf(use: ts.Identifier): ts.Expression | undefined {
  for (let around: ts.Node = use; around.parent; around = around.parent) {
    if (!ts.isBlock(around) && !ts.isSourceFile(around)) continue;
    for (const statement of around.statements) {
      if (!ts.isVariableStatement(statement)) continue;
      const found = statement.declarationList.declarations.find(({ name }) => name.getText() === use.text);
      const text = found?.initializer;
      if (text && (ts.isStringLiteralLike(text) || ts.isTemplateExpression(text))) return text;
    }
  }
  return undefined;
}

/** `{target}` for `about.target`, `{names}` for `names(found)`, `{name}` for `found.map(({ name }) => name).join(', ')`. */
function value(node: ts.Expression): string {
  if (ts.isConditionalExpression(node)) return shown(node.whenTrue) ?? '{…}';
  const names = node.getText().match(/[A-Za-z_]\w*/g) ?? [];
  const ordinary = names.filter(
    (name) => !/^(await|this|map|join|String|JSON|stringify|pg|toISOString|size)$/.test(name),
  );
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) return `{${node.expression.text}}`;
  return `{${(ts.isPropertyAccessExpression(node) ? ordinary.at(-1) : ordinary[0]) ?? '…'}}`;
}
