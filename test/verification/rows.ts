import { checks as driftChecks } from '../../verification/checks/drift.ts';
import type { Break } from './fixture.ts';

/** One way to break the database, and every check that must say so: all others must not. */
export interface Row extends Break {
  readonly breaks: string;
  /** Checks that see the same from another side. @default - none */
  readonly also?: readonly string[];
  /** Checks that can no longer look. @default - none */
  readonly skips?: readonly string[];
  /** Why it breaks that, or these too. @default - the statement says it */
  readonly because?: string;
}

/** Of a row that adds, renames or removes a migration file: the manifest no longer describes the folder. */
export const otherMigrations = {
  also: ['DRI-017'],
  skips: driftChecks.map(({ id }) => id).filter((id) => id !== 'DRI-017'),
} as const;
