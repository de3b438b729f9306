/** The types of the lint: rules, their input and their findings. */
import type { Node } from 'libpg-query';
import type { Severity } from '../../../core/severity.ts';
import type { MigrationFile } from '../files.ts';
import type { Direction } from '../ledger.ts';
import type { KnownSchema, Place } from './schema.ts';

export type { Place };

/** Replaces a name in a statement that is known only when the block around it runs. */
export const standIn = 'lint_stand_in';

export interface Statement {
  readonly node: Node;
  readonly place: Place;
  readonly section: Direction;
  /** Line of the file, from 1. */
  readonly line: number;
  /** Text of the statement. */
  readonly text: string;
  /** Line of the file of a location in the tree. */
  lineAt(location: number | undefined): number;
  /** The statement of the file that contains it, or itself. */
  readonly top: Statement;
  /** Whether buildPartitionedIndex makes it, which also builds the index of each leaf. @default false */
  readonly builder?: boolean;
}

/** Size of a table; `new` means that no version of the application has read or written it yet. */
export type Size = 'new' | 'small' | 'unknown' | 'large';

export interface LiveColumn {
  /** As in the tree of a statement: `varchar(100)`, `numeric(5,4)`. */
  readonly type: string;
  /** Objects whose expressions read the column, so that PostgreSQL refuses the change or checks every row. */
  readonly usedBy: readonly string[];
}

/** Facts about a file as a whole. */
export interface FileFacts {
  readonly hasDown: boolean;
  /** Parts that cannot be parsed or loaded. */
  readonly errors: readonly { readonly line: number; readonly message: string }[];
}

export interface Context {
  readonly file: Pick<MigrationFile, 'runAs' | 'losesDataOf' | 'kind' | 'file'>;
  /** Whether the migration runs in one transaction. */
  readonly transactional: boolean;
  /** The schema after all earlier statements. */
  readonly schema: KnownSchema;
  /** Statements of the same section in order, including those inside blocks and functions. */
  readonly statements: readonly Statement[];
  /** Role that executes the statement; undefined for the login. */
  readonly role: string | undefined;
  size(table: string): Size;
  /** A column in the database. @default - no database, or the column is not there */
  column?(table: string, column: string): LiveColumn | undefined;
}

export interface Problem {
  /** The fault, with the names of the statement. */
  readonly detail: string;
  /** Location in the tree. @default - the start of the statement */
  readonly location?: number | undefined;
  /** Line of the file; takes precedence over `location`. */
  readonly line?: number;
  /** Table whose size decides about the severity (`matters`). */
  readonly table?: string;
}

/** An allowance, and what the lint knows about it. */
export interface AllowanceFacts {
  readonly rule: string;
  readonly reason: string;
  /** Whether the rule exists. */
  readonly known: boolean;
  /** Whether it accepted a finding. */
  readonly used: boolean;
}

/** A rule without its code. */
export interface RuleFacts {
  /** Name of the rule in allowances; never reused for another rule. */
  readonly id: string;
  readonly severity: Severity;
  /** The rule as an assertion, without a full stop. */
  readonly title: string;
  /** The consequence of a violation. */
  readonly why: string;
  /** The correct way, as a sentence. */
  readonly remedy: string;
  /** Rule of another linter, manual, decision or experiment. */
  readonly source: string;
  /**
   * `large`: the statement is slow only on existing rows. Tables that the file creates or that are known to be small are
   * skipped, and tables of unknown size have severity low. `existing`: only tables that the file creates are skipped.
   * @default 'always'
   */
  readonly matters?: 'always' | 'existing' | 'large';
  /** Sections that `check` inspects. @default ['up'] */
  readonly sections?: readonly Direction[];
  /** Places that `check` inspects. @default ['migration', 'block'] */
  readonly places?: readonly Place[];
}

/** A rule has one of these functions. */
export interface Rule extends RuleFacts {
  /** Inspects one statement. */
  check?(statement: Statement, at: Context): Iterable<Problem>;
  /** Inspects a file as a whole. */
  checkFile?(file: FileFacts): Iterable<{ readonly line: number; readonly detail: string }>;
  /** Inspects one allowance of a file. @returns the fault */
  checkAllowance?(allowance: AllowanceFacts): string | undefined;
  /**
   * Inspects the schema after the last file. Faults of the schema before the first file are left out. The finding is
   * reported where a file creates the table, or else at the last statement about it.
   */
  atEnd?(schema: KnownSchema): Iterable<StateProblem>;
}

/** A fault of the schema as a whole: `llama.notes lacks` FORCE ROW LEVEL SECURITY, a RESTRICTIVE policy. */
export interface StateProblem {
  /** Table or function that the finding is about. */
  readonly table: string;
  /** Begins the detail of the finding. */
  readonly detail: string;
  /** Faults that end the detail; none is no finding. */
  readonly parts: readonly string[];
}

export interface Family {
  /** Heading of the family on the page of rules. */
  readonly title: string;
  readonly rules: readonly Rule[];
}

export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  /** As given or found. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly detail: string;
}

/** SQL that the lint could not read. */
export interface Unseen {
  readonly path: string;
  readonly line: number;
  readonly reason: string;
}

/** A finding that an allowance of the file accepts. */
export interface Allowed extends Finding {
  readonly reason: string;
}
