/** The words of the lint: what a rule is, what it is shown, and what it may answer. */
import type { Node } from 'libpg-query';
import type { Severity } from '../../../core/severity.ts';
import type { MigrationFile } from '../files.ts';
import type { Direction } from '../ledger.ts';
import type { KnownSchema } from './schema.ts';

/**
 * Where a statement stands: `migration` is sent as it is; `block` runs inside a DO block of the migration;
 * `function` runs later, whenever the function is called.
 */
export type Place = 'migration' | 'block' | 'function';

/** Stands in a statement for a name that is only known when the block around it runs. */
export const standIn = 'lint_stand_in';

export interface Statement {
  readonly node: Node;
  readonly place: Place;
  readonly section: Direction;
  /** Line of the file, from 1. */
  readonly line: number;
  /** Its own words. */
  readonly text: string;
  /** Line of the file of a location in the tree. */
  lineAt(location: number | undefined): number;
  /** The statement of the file that it is, or is inside of. */
  readonly top: Statement;
}

/** What is known of a table's rows: `new` has none that anybody reads. */
export type Size = 'new' | 'small' | 'unknown' | 'large';

export interface Context {
  readonly file: Pick<MigrationFile, 'runAs' | 'losesDataOf' | 'kind' | 'file'>;
  /** Whether the migration is one transaction. */
  readonly transactional: boolean;
  /** What the migrations before this statement have made. */
  readonly schema: KnownSchema;
  /** Statements of the same section of the file, those inside blocks and functions too, in order. */
  readonly statements: readonly Statement[];
  /** Role that the statement runs as; `undefined` for the login. */
  readonly role: string | undefined;
  size(table: string): Size;
}

export interface Problem {
  /** What is wrong with the statement, in its own names. */
  readonly detail: string;
  /** In the tree, where it is more exact than the statement's beginning. */
  readonly location?: number | undefined;
  /** Line of the file, where there is no location. */
  readonly line?: number;
  /** Table whose size decides whether it matters, where the rule asks for that. */
  readonly table?: string;
}

export interface Rule {
  /** What a file allows it by; never used again for another rule. */
  readonly id: string;
  readonly severity: Severity;
  /** What holds when it is silent, as a sentence. */
  readonly title: string;
  /** What goes wrong otherwise. */
  readonly why: string;
  /** What to write instead. */
  readonly instead: string;
  /** Rule, manual or experiment it comes from. */
  readonly source: string;
  /**
   * `large`: only rows that are there make it slow. A table that the file itself makes, or that is known to be small,
   * is passed over; one of unknown size is reported as low. `existing`: only a table of the file itself is passed over.
   * @default 'always'
   */
  readonly matters?: 'always' | 'existing' | 'large';
  /** Sections it looks at. @default ['up'] */
  readonly sections?: readonly Direction[];
  /** Places it looks at. @default ['migration', 'block'] */
  readonly places?: readonly Place[];
  check(statement: Statement, at: Context): Iterable<Problem>;
}

/** For a document: a rule without its code. */
export type RuleFacts = Omit<Rule, 'check'>;

export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  /** As it was given or found. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly detail: string;
}

/** SQL that is there and cannot be read: nobody looked at it. */
export interface Unseen {
  readonly path: string;
  readonly line: number;
  readonly reason: string;
}

/** An allowance that was used: a finding that the file says is meant. */
export interface Allowed extends Finding {
  readonly reason: string;
}
