/**
 * The refusals of Azure. Each is a row of a table with the rule and its source, and becomes a function that makes the
 * error. docs/local-azure.md lists all rows.
 */
import { ArmError } from './http.ts';

/** Beginning of most sources. */
export const learn = 'https://learn.microsoft.com/azure';

export interface Refusal {
  readonly status: number;
  /** Code in Azure's answer. */
  readonly code: string;
  /** The rule that the request breaks, as an assertion. */
  readonly rule: string;
  /** Page, REST reference, or report that states the rule. */
  readonly source: string;
  /** Sentence in Azure's answer. */
  readonly message: (...given: never[]) => string;
  /** Further headers of the answer. @default - none */
  readonly headers?: (...given: never[]) => Readonly<Record<string, string>>;
  /** Code of the inner error, which the data plane of Key Vault adds. @default - none */
  readonly inner?: string;
}

export type Refusals = Readonly<Record<string, Refusal>>;

type Makers<Table extends Refusals> = {
  [Name in keyof Table]: (...given: Parameters<Table[Name]['message']>) => ArmError;
};

/** A part of the catalogue: the heading, and the rows by the name of their function. */
export interface RefusalArea {
  readonly title: string;
  readonly rows: Refusals;
}

const areas = new WeakMap<object, RefusalArea>();

/** The rows that a set of functions was made of. */
export function areaOf(makers: object): RefusalArea {
  const area = areas.get(makers);
  if (!area) throw new Error('not made by defineRefusals');
  return area;
}

/**
 * Functions that make the error of each row.
 *
 * @param Kind class of the errors, for a service with answers of another form
 */
export function defineRefusals<const Table extends Refusals>(
  title: string,
  rows: Table,
  Kind: typeof ArmError = ArmError,
): Makers<Table> {
  const make =
    ({ status, code, message, headers, inner }: Refusal, refusal: string) =>
    (...given: never[]) =>
      new Kind(status, code, message(...given), { refusal, headers: headers?.(...given), inner });
  const makers: Readonly<Record<string, (...given: never[]) => ArmError>> = Object.fromEntries(
    Object.entries<Refusal>(rows).map(([name, row]) => [name, make(row, `${title}: ${name}`)]),
  );
  areas.set(makers, { title, rows });
  return makers as Makers<Table>;
}

/** An answer for a part of Azure that is not played here. A run that meets it proves nothing. */
export function notPlayed(code: string, message: string): ArmError {
  return new ArmError(501, code, message);
}
