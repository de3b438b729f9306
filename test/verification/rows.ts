import { checks as driftChecks } from '../../verification/checks/drift.ts';
import type { Break } from './fixture.ts';

/** One way to break the database, and the checks that must fail; all others must pass. */
export interface Row extends Break {
  readonly breaks: string;
  /** Further checks that fail for the same reason. @default - none */
  readonly also?: readonly string[];
  /** Checks that are skipped. @default - none */
  readonly skips?: readonly string[];
  /** The change is outside schema llama. @default - the check decides */
  readonly elsewhere?: true;
  /** Why it breaks these checks. @default - the statement shows it */
  readonly because?: string;
}

/** Checks that are skipped if the two-tenant probe cannot run. */
export const probeChecks = [
  ...['ISO-050', 'ISO-051', 'ISO-052', 'ISO-053', 'ISO-054', 'ISO-055', 'ISO-056'],
  ...['AUD-050', 'AUD-051'],
];

/** Of a row that adds, renames or removes a migration file: the manifest no longer describes the folder. */
export const otherMigrations = {
  also: ['DRI-017'],
  skips: driftChecks.map(({ id }) => id).filter((id) => id !== 'DRI-017'),
} as const;
