import type { Check } from './check.ts';

/** Every check, in the order in which reports name them. */
export const catalogue: readonly Check[] = [];
