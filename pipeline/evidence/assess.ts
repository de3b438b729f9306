/** Judges the controls of the catalogue by what was collected. Nothing that was not collected counts as passed. */
import { type Json, objectAt, objectsAt, textAt } from '../../core/json.ts';
import { catalogue as checks } from '../../verification/catalogue.ts';
import { digestOfMigrations } from '../release/releases.ts';
import { families } from './catalogue/index.ts';
import type { Control, RecordKind } from './control.ts';
import { headOf, type Read, releasesIn } from './observations.ts';
import {
  type AssessedControl,
  type Commit,
  type Report,
  type Row,
  timeOf,
  type Verdict,
  verdicts,
  type Waiver,
} from './report.ts';
import type { Expectation, Stack } from './stack.ts';

/** A rule about settings, and the result of checking it. */
export interface RuleResult {
  readonly rule: string;
  /** Fields that break it, each with its value. Empty if it holds. */
  readonly broken: readonly string[];
}

/** The parts of a pack that records are judged by. */
export interface Observed {
  readonly commit: Pick<Commit, 'hash'>;
  readonly observations: readonly Read[];
  readonly stack: Stack;
}

export interface Collected {
  readonly environment: string;
  readonly commit: Commit;
  readonly stack: Stack & { readonly sha256: string };
  /** By id. */
  readonly rules: Readonly<Record<string, RuleResult>>;
  readonly waivers: readonly Waiver[];
  readonly observations: readonly Read[];
}

export function assess(collected: Collected): Report {
  const { environment, commit, stack, observations, waivers } = collected;
  const listed = observations.map(({ kind, file, sha256, at }) => ({ kind, file, sha256, at }));
  const now = timeOf({ commit, observations: listed });
  const used = new Set<Waiver>();
  const assessed = families.map(({ prefix, title, controls }) => ({
    prefix,
    title,
    controls: controls.map((control) => {
      const waiver = waivers.find((one) => one.control === control.id);
      const rows = rowsOf(control, collected).map((row) => waived(row, waiver, now));
      if (waiver && rows.some((row) => row.waiver)) used.add(waiver);
      return assessedControl(control, rows);
    }),
  }));
  const all = assessed.flatMap(({ controls }) => controls);
  const audit = observations.find(({ kind }) => kind === 'audit');
  const released = observations.find(({ kind }) => kind === 'releases');
  return {
    format: 1,
    environment,
    commit,
    stack: { file: 'cdk.tf.json', sha256: stack.sha256 },
    observations: listed,
    auditHead: (audit && headOf(audit.document)) ?? null,
    releases: released ? releasesIn(released.document) : [],
    counts: countsOf(all),
    families: assessed,
    unusedWaivers: waivers.filter((one) => !used.has(one)),
  };
}

export function countsOf(controls: readonly AssessedControl[]): Record<Verdict, number> {
  const counts = { ...zero };
  for (const { verdict } of controls) counts[verdict] += 1;
  return counts;
}

/** Titles of the checks of this version, for those that were not observed. */
const titles: ReadonlyMap<string, string> = new Map(checks.map(({ id, title }) => [id, title]));

const zero: Readonly<Record<Verdict, number>> = {
  violated: 0,
  'not collected': 0,
  'no tool sees it': 0,
  waived: 0,
  holds: 0,
  'not applicable': 0,
};

function assessedControl(control: Control, rows: readonly Row[]): AssessedControl {
  const { id, title, why, setting = null, rules = [], mapped } = control;
  return { id, title, why, setting, verdict: verdictOf(rows), rules, mapped, rows };
}

/** The worst verdict of the rows, in the order of `verdicts`. A control that only holds in part does not hold. */
export function verdictOf(rows: readonly Row[]): Verdict {
  return verdicts.find((verdict) => rows.some((row) => row.verdict === verdict)) ?? 'not collected';
}

/** A violated value that the environment accepts. A waiver that expired, or that no person confirmed, is shown and changes nothing. */
function waived(row: Row, waiver: Waiver | undefined, now: string): Row {
  if (!waiver || row.kind !== 'stack' || row.verdict !== 'violated') return row;
  const isOver = now.slice(0, 10) > waiver.expires;
  if (waiver.confirmed && !isOver) return { ...row, verdict: 'waived', waiver };
  const why = waiver.confirmed
    ? `the waiver expired on ${waiver.expires}`
    : 'nobody has confirmed the proposed waiver';
  return { ...row, waiver, remark: row.remark === undefined ? why : `${row.remark}; ${why}` };
}

function rowsOf(control: Control, collected: Collected): readonly Row[] {
  return [
    ...control.stack.flatMap((expectation) => stackRows(expectation, collected)),
    ...(control.rules ?? []).map((id) => ruleRow(id, collected)),
    ...(control.checks ?? []).map((id) => checkRow(id, collected)),
    ...(control.records ?? []).map((kind) => recordRow(kind, collected)),
    ...(control.unseen ?? []).map(
      (subject): Row => ({
        kind: 'person',
        place: '',
        subject,
        value: null,
        verdict: 'no tool sees it',
        observedAt: null,
      }),
    ),
  ];
}

function stackRows(expectation: Expectation, { stack, commit }: Collected): readonly Row[] {
  const { subject, requires, holds, ifNone, find } = expectation;
  const places = find(stack);
  const observedAt = commit.time;
  if (places.length === 0) {
    const row = { kind: 'stack', place: '/resource', subject, requires, observedAt } as const;
    return [{ ...row, value: null, verdict: ifNone, remark: 'the stack has no such resource' }];
  }
  return places.map(({ pointer, within, value }): Row => {
    const verdict = holds(value) ? 'holds' : 'violated';
    return {
      kind: 'stack',
      place: pointer,
      ...(within === undefined ? {} : { within }),
      subject,
      requires,
      value: value === undefined ? null : shortened(value),
      verdict,
      observedAt,
      ...(value === undefined ? { remark: 'not set' } : {}),
    };
  });
}

/** Objects are shown by their keys: the pointer leads to the rest. */
function shortened(value: Json): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? `{ ${Object.keys(value).join(', ')} }`
    : value;
}

function ruleRow(id: string, { rules, commit, environment }: Collected): Row {
  const found = rules[id];
  const row = { kind: 'rule', place: id, subject: found?.rule ?? id } as const;
  if (!found)
    return { ...row, value: null, verdict: 'not collected', observedAt: null, remark: 'unknown rule' };
  const holds = found.broken.length === 0;
  return {
    ...row,
    value: holds ? `no problem in environments/${environment}.ts` : found.broken.join('; '),
    verdict: holds ? 'holds' : 'violated',
    observedAt: commit.time,
  };
}

export function checkRow(id: string, { observations, commit }: Observed): Row {
  const seen = observations.find(({ kind }) => kind === 'verification');
  const check = seen && objectsAt(seen.document, 'checks').find((one) => one['id'] === id);
  const row = {
    kind: 'check',
    place: id,
    subject: (check && textAt(check, 'title')) ?? titles.get(id) ?? `check ${id}`,
  } as const;
  if (!seen) {
    const remark = 'no verification was given';
    return { ...row, value: null, verdict: 'not collected', observedAt: null, remark };
  }
  // `+` marks a checkout with changes, which a draft may have.
  const verified = (textAt(seen.document, 'sources', 'commit') ?? 'unknown').replace(/\+$/, '');
  if (verified !== 'unknown' && !commit.hash.startsWith(verified)) {
    const remark = `the verification compared with the sources of commit ${verified}`;
    return { ...row, value: null, verdict: 'not collected', observedAt: null, remark };
  }
  if (!check) {
    const remark = 'the verification did not run this check';
    return { ...row, value: null, verdict: 'not collected', observedAt: null, remark };
  }
  const status = textAt(check, 'status');
  if (status === 'passed') {
    return { ...row, value: textAt(check, 'inspected') ?? 'passed', verdict: 'holds', observedAt: seen.at };
  }
  if (status === 'failed') {
    const findings = objectsAt(check, 'findings').map((one) => `${one['object']} ${one['detail']}`);
    const value =
      findings.slice(0, 5).join('; ') + (findings.length > 5 ? `; ${findings.length - 5} more` : '');
    return { ...row, value, verdict: 'violated', observedAt: seen.at };
  }
  const remark = `skipped: ${textAt(check, 'reason') ?? 'no reason given'}`;
  return { ...row, value: null, verdict: 'not collected', observedAt: null, remark };
}

export function recordRow(kind: RecordKind, collected: Observed): Row {
  switch (kind) {
    case 'release':
      return releaseRow(collected);
    case 'release chain':
      return chainRow(collected);
    case 'guard':
      return guardRow(collected);
    case 'audit head':
      return headRow(collected);
  }
}

function missing(kind: RecordKind, subject: string, remark: string): Row {
  const row = { kind: 'record', place: kind, subject, value: null } as const;
  return { ...row, verdict: 'not collected', observedAt: null, remark };
}

/** The newest release must be verified, and of the migrations that the stack lists. */
function releaseRow({ observations, stack }: Observed): Row {
  const subject = 'newest release record of the environment';
  const seen = observations.find(({ kind }) => kind === 'releases');
  if (!seen) return missing('release', subject, 'no release record was given');
  const newest = releasesIn(seen.document).at(-1);
  if (!newest) return missing('release', subject, 'the environment has no release record');
  const { outcome, at, executor } = newest;
  const sameMigrations = newest.migrationsDigest === migrationsDigestOf(stack.document);
  return {
    kind: 'record',
    place: 'release',
    subject,
    requires: 'verified, with the migrations of the stack',
    value: `${outcome}, at ${at}, by ${executor}`,
    verdict: outcome === 'verified' && sameMigrations ? 'holds' : 'violated',
    observedAt: seen.at,
    ...(sameMigrations ? {} : { remark: 'it released other migrations than those of the stack' }),
  };
}

/** `digestOfMigrations` of the files that the post-deploy step of the stack names. */
export function migrationsDigestOf(document: Json): string {
  const files = objectAt(
    document,
    'resource',
    'terraform_data',
    'post_deploy',
    'triggers_replace',
    'migrations',
  );
  return digestOfMigrations(
    Object.entries(files).map(([file, checksum]) => ({
      name: file.replace(/\.(?:sql|ts)$/, ''),
      checksum: String(checksum),
    })),
  );
}

/** Each release records the newest seal of its time. A chain that was made anew would have a lower number. */
function chainRow({ observations }: Observed): Row {
  const subject = 'audit heads of the release records, in the order of their times';
  const seen = observations.find(({ kind }) => kind === 'releases');
  if (!seen) return missing('release chain', subject, 'no release record was given');
  const audit = observations.find(({ kind }) => kind === 'audit');
  const current = audit && headOf(audit.document);
  const heads = [...releasesIn(seen.document).map(({ auditHead }) => auditHead), current ?? null].filter(
    (one) => one !== null,
  );
  if (heads.length === 0) return missing('release chain', subject, 'no release recorded a head');
  const fallen = heads.find((head, index) => index > 0 && isBefore(head, heads[index - 1] ?? head));
  return {
    kind: 'record',
    place: 'release chain',
    subject,
    requires: 'numbers that never fall, with one hash per number',
    value:
      fallen === undefined ? `${heads.length} heads up to ${heads.at(-1)}` : `${fallen} follows a later one`,
    verdict: fallen === undefined ? 'holds' : 'violated',
    observedAt: seen.at,
  };
}

function isBefore(head: string, earlier: string): boolean {
  const [number, hash] = head.split(':');
  const [before, other] = earlier.split(':');
  return Number(number) < Number(before) || (number === before && hash !== other);
}

function guardRow({ observations }: Observed): Row {
  const subject = 'verdict of the guard about the plan';
  const seen = observations.find(({ kind }) => kind === 'guard');
  if (!seen) return missing('guard', subject, 'no verdict of a guard was given');
  const { exitCode } = seen.document;
  const answer = exitCode === 0 ? 'no change' : exitCode === 2 ? 'changes, none refused' : 'refused';
  if (exitCode !== 0 && exitCode !== 2 && exitCode !== 3) {
    return missing('guard', subject, 'the document has no exit status of the guard');
  }
  const accepted = objectsAt(seen.document, 'waived').length;
  return {
    kind: 'record',
    place: 'guard',
    subject,
    requires: 'not refused',
    value: answer,
    verdict: exitCode === 3 ? 'violated' : 'holds',
    observedAt: seen.at,
    ...(accepted > 0
      ? { remark: `${accepted} refused changes were accepted by waivers of the repository` }
      : {}),
  };
}

function headRow({ observations }: Observed): Row {
  const subject = 'newest seal of the audit trail';
  const seen = observations.find(({ kind }) => kind === 'audit');
  if (!seen) return missing('audit head', subject, 'no head of the audit trail was given');
  const head = headOf(seen.document);
  if (head === undefined) return missing('audit head', subject, 'nothing is sealed yet');
  const { intact } = seen.document;
  const row = { kind: 'record', place: 'audit head', subject, value: head, observedAt: seen.at } as const;
  if (intact === false) {
    return { ...row, verdict: 'violated', remark: 'llama-db audit verify reported tampering' };
  }
  return {
    ...row,
    verdict: 'holds',
    remark: intact === true ? 'the chain was recomputed' : 'recorded, without recomputing the chain',
  };
}
