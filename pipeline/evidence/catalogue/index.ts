/** All controls, by family, in the order of every report. `test/pipeline/evidence/catalogue.test.ts` compares the folder. */
import type { Control, Family } from '../control.ts';
import { family as access } from './access.ts';
import { family as change } from './change.ts';
import { family as encryption } from './encryption.ts';
import { family as logging } from './logging.ts';
import { family as network } from './network.ts';
import { family as records } from './records.ts';
import { family as recovery } from './recovery.ts';

export const families: readonly Family[] = [network, access, encryption, logging, recovery, change, records];

export const controls: readonly Control[] = families.flatMap((family) => family.controls);
