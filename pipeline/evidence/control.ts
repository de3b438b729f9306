/** The form of a control. `catalogue/` has one file per family; the files are data and judge nothing. */
import type { FrameworkId } from './frameworks.ts';
import type { Expectation } from './stack.ts';

/** Kinds of documents beside stack and verification that a control needs. */
export const recordKinds = ['release', 'release chain', 'guard', 'audit head'] as const;
export type RecordKind = (typeof recordKinds)[number];

export interface Control {
  /** Stable, and never reused for another control: `NET-1`. */
  readonly id: `${Uppercase<string>}-${number}`;
  /** An assertion, without a full stop. */
  readonly title: string;
  /** The loss if it does not hold. */
  readonly why: string;
  /** Field of the environment file that decides it: `server.backup.geoRedundant`. @default - the file as a whole */
  readonly setting?: string;
  readonly stack: readonly Expectation[];
  /** Ids of rules about settings that keep it from being changed. @default - none does */
  readonly rules?: readonly string[];
  /** Ids of verification checks: the parts that only a live server shows. @default - the stack shows all of it */
  readonly checks?: readonly string[];
  /** @default - none */
  readonly records?: readonly RecordKind[];
  /** Parts that no tool sees, each as a sentence that names the document or the person to ask. @default - none */
  readonly unseen?: readonly string[];
  readonly mapped: Readonly<Partial<Record<FrameworkId, readonly string[]>>>;
}

export interface Family {
  /** Begins the id of each of its controls. */
  readonly prefix: Uppercase<string>;
  readonly title: string;
  readonly controls: readonly Control[];
}
