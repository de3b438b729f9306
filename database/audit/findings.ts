/** What a verification of the trail finds, and how much of it is listed. */

export type Tampering =
  | 'changed row'
  | 'removed row'
  | 'inserted row'
  | 'broken link'
  | 'rewritten seal'
  | 'removed seal'
  | 'missing partition'
  | 'wrong closing'
  | 'other chain';

export interface TrailFinding {
  readonly kind: Tampering;
  /** Seal that says otherwise. */
  readonly seal?: number;
  /** `audit_trail_y2026m11`: where the rows lie, or would lie. */
  readonly partition?: string;
  /** One line: what is wrong, and where. */
  readonly detail: string;
}

export type Find = (finding: TrailFinding) => void;

/** Findings that are listed; a trail that was emptied has one a seal. */
const listed = 100;

export class Findings {
  readonly #list: TrailFinding[] = [];
  #more = 0;

  readonly add: Find = (finding) => {
    if (this.#list.length < listed) this.#list.push(finding);
    else this.#more += 1;
  };

  get list(): readonly TrailFinding[] {
    return this.#list;
  }

  /** Findings beyond those listed. */
  get more(): number {
    return this.#more;
  }
}
