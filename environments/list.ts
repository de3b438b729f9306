/**
 * The project's environments, listed here and nowhere else. Types, commands, help texts, rehearsals and pages read this
 * list.
 */
import { development } from './development.ts';
import { production } from './production.ts';
import { staging } from './staging.ts';

/** By name, in the order of promotion. Commands take the last one if none is named. */
export const inputs = { development, staging, production };
