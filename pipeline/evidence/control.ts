/** The form of a control. `catalogue/` has one file per family; the files are data and judge nothing. */
import type { Json } from '../../core/json.ts';
import type { FrameworkId } from './frameworks.ts';
import type { Place, Stack } from './stack.ts';

/** Values in the synthesized stack that a control needs. */
export interface Expectation {
  /** The places to inspect. None means that the stack has no such resource. */
  readonly find: (stack: Stack) => readonly Place[];
  /** Required value in words, as it follows "is": `false`, `at least 35`. */
  readonly requires: string;
  readonly holds: (value: Json | undefined) => boolean;
  /** Verdict if nothing is found: the thing is required, is forbidden, or does not concern this environment. */
  readonly ifNone: 'violated' | 'holds' | 'not applicable';
  /** Name of the inspected thing, for messages: `public_network_access_enabled of every Flexible Server`. */
  readonly subject: string;
}

/** Kinds of documents beside stack and verification that a control needs. */
export type RecordKind = 'release' | 'guard' | 'audit head';

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
