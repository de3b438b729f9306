/** Packs of the real stacks, with observations in which every check of the catalogue has an outcome. */

import { collectSources } from '../../../commands/common/evidence.ts';
import { sha256 } from '../../../core/digest.ts';
import { listMigrations, migrationsDirectory } from '../../../database/migrator/files.ts';
import { assess } from '../../../pipeline/evidence/assess.ts';
import { type Given, readObservation } from '../../../pipeline/evidence/observations.ts';
import { type PackInput, packOf } from '../../../pipeline/evidence/pack.ts';
import { type AssessedControl, controlsOf } from '../../../pipeline/evidence/report.ts';
import { digestOfMigrations } from '../../../pipeline/release/releases.ts';
import { catalogue } from '../../../verification/catalogue.ts';
import { type EnvironmentName, environments } from '../../support/environments.ts';

export const observedAt = '2026-11-27T20:00:00Z';
export const head = `4711:${'9f'.repeat(32)}`;

const commit = { hash: 'c0ffee'.padEnd(40, '0'), time: '2026-11-27T12:00:00Z', changed: [] };

const sources = new Map<EnvironmentName, ReturnType<typeof collectSources>>();

function sourcesOf(environment: EnvironmentName) {
  const found =
    sources.get(environment) ?? collectSources(environments, environment, 'test/support/settings');
  sources.set(environment, found);
  return {
    ...found,
    waivers: found.waivers.map((one) => ({ ...one, confirmed: one.confirmed ?? somebody })),
  };
}

const somebody = { by: 'the head of security', on: '2026-11-01', where: 'ticket 7' };

export interface Changes {
  /** Replaces a text of the stack. */
  readonly stack?: (text: string) => string;
  /** Outcome of single checks, by id. @default - all passed */
  readonly outcomes?: Readonly<Record<string, object>>;
  readonly given?: readonly Given[];
  readonly overrides?: Partial<PackInput>;
}

/** A report of `llama-db verify --json` in which every check passed, except the given ones. */
export function verification(environment: string, outcomes: Changes['outcomes'] = {}): Given {
  const checks = catalogue.map(({ run: _, ...check }) => ({
    ...check,
    ...(outcomes[check.id] ?? { status: 'passed', inspected: `all of ${check.name}` }),
  }));
  const document = { ok: true, format: 2, environment, at: '2026-11-27T20:00:00.123Z', checks };
  return { kind: 'verification', origin: 'verification.json', text: JSON.stringify(document) };
}

export function audit(environment: string, more: object = {}): Given {
  const [number, hash] = head.split(':');
  const document = {
    environment,
    at: observedAt,
    head: { number: Number(number), hash },
    intact: true,
    ...more,
  };
  return { kind: 'audit', origin: 'audit.json', text: JSON.stringify(document) };
}

export function guard(environment: string, exitCode: number, more: object = {}): Given {
  return { kind: 'guard', origin: 'plan.json', text: JSON.stringify({ environment, exitCode, ...more }) };
}

/** Release records, the newest of the migrations of the stack. */
export function releases(environment: EnvironmentName, more: object = {}): Given {
  const newest = {
    environment,
    at: '2026-11-27T19:00:00Z',
    outcome: 'verified',
    executor: 'release-pipeline',
    migrationsDigest: digestOfMigrations(listMigrations(migrationsDirectory)),
    auditHead: head,
    ...more,
  };
  const older = {
    ...newest,
    at: '2026-10-01T19:00:00Z',
    outcome: 'findings',
    migrationsDigest: 'a'.repeat(64),
  };
  return { kind: 'releases', origin: 'releases.json', text: JSON.stringify({ releases: [newest, older] }) };
}

export function inputOf(environment: EnvironmentName, changes: Changes = {}): PackInput {
  const found = sourcesOf(environment);
  const stackText = (changes.stack ?? ((text) => text))(found.stackText);
  if (changes.stack && stackText === found.stackText) throw new Error('the stack has nothing to change');
  const given = changes.given ?? [verification(environment, changes.outcomes)];
  return {
    ...found,
    environment,
    commit,
    stackText,
    stack: { document: JSON.parse(stackText), sha256: sha256(stackText) },
    observations: given.map((one) => readObservation(one, environment)),
    ...changes.overrides,
  };
}

export const packed = (environment: EnvironmentName, changes: Changes = {}) =>
  packOf(inputOf(environment, changes));

/** Everything that a pack can have. */
export const complete = (environment: EnvironmentName) =>
  packed(environment, {
    given: [verification(environment), audit(environment), guard(environment, 2), releases(environment)],
  });

export function assessed(environment: EnvironmentName, id: string, changes: Changes = {}): AssessedControl {
  const found = controlsOf(assess(inputOf(environment, changes))).find((one) => one.id === id);
  if (!found) throw new Error(`control ${id} does not exist`);
  return found;
}
