/** The findings of a verification of the trail. */

export type Tampering =
  | 'changed row'
  | 'removed row'
  | 'inserted row'
  | 'unreadable rows'
  | 'broken link'
  | 'rewritten seal'
  | 'removed seal'
  | 'missing partition'
  | 'wrong closing'
  | 'early closing'
  | 'wrong time'
  | 'overlapping seal'
  | 'unsealed column'
  | 'filtered reading'
  | 'forged release'
  | 'other chain';

export interface TrailFinding {
  readonly kind: Tampering;
  /** Number of the seal that contradicts the rows. */
  readonly seal?: number;
  /** Partition of the rows, even if it no longer exists: `audit_trail_y2026m11`. */
  readonly partition?: string;
  /** One line that names the difference and its place. */
  readonly detail: string;
}

export type Find = (finding: TrailFinding) => void;

/** Maximum number of listed findings. An emptied trail has one finding per seal. */
const listed = 100;

export class Findings {
  readonly #list: TrailFinding[] = [];
  readonly #remarks: TrailRemark[] = [];
  #more = 0;

  readonly add: Find = (finding) => {
    if (this.#list.length < listed) this.#list.push(finding);
    else this.#more += 1;
  };

  readonly remark: Remark = (remark) => {
    if (this.#remarks.length < listed) this.#remarks.push(remark);
  };

  get remarks(): readonly TrailRemark[] {
    return this.#remarks;
  }

  get list(): readonly TrailFinding[] {
    return this.#list;
  }

  /** Number of findings beyond those listed. */
  get more(): number {
    return this.#more;
  }
}

/**
 * A circumstance that somebody should explain, although the chain is intact: rows that were written under an earlier time,
 * a retention that was shortened.
 */
export interface TrailRemark {
  readonly kind:
    | 'backdated rows'
    | 'postdated rows'
    | 'shorter retention'
    | 'heads not compared'
    | 'restored';
  readonly seal?: number;
  readonly detail: string;
}

export type Remark = (remark: TrailRemark) => void;
