/** Heads of the chain that were recorded earlier: with each release, and in a file outside the database. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { Seal } from './canonical.ts';
import { hashOf } from './canonical.ts';
import type { Find, Remark } from './findings.ts';
import { type Head, parseHead } from './seals.ts';

export interface RecordedHead extends Head {
  /** For findings: `--expect`, `release 12`, `heads.txt, line 3`. */
  readonly origin: string;
  /** When it was recorded. @default - unknown */
  readonly at?: Date;
  /** The database was restored to that moment since then: a head recorded later may be lost. @default - never */
  readonly restoredTo?: Date;
}

/**
 * Environment variable that names the file of heads: one per line, `number:hash`, after the time of its recording if that is
 * known. A line `restored-to <time>` states that the database was restored to that moment after the lines above it.
 */
export const headsVariable = 'LLAMA_DB_AUDIT_HEADS';

/** A restore of the database that the file states. */
export interface StatedRestore {
  readonly restoredTo: Date;
  /** When the next head in the file was recorded: that one and later ones must be in the chain. @default - none is yet */
  readonly until?: Date;
}

/**
 * Reads the heads kept outside the database.
 *
 * @throws Fault (exit 2) if the file that the variable names does not exist or contains anything else
 */
export function keptHeads(env: NodeJS.ProcessEnv): readonly RecordedHead[] {
  const entries = entriesOf(env);
  return entries.flatMap((entry, place) => {
    if ('restoredTo' in entry) return [];
    const restoredTo = earliest(
      entries.slice(place).flatMap((later) => ('restoredTo' in later ? later.restoredTo : [])),
    );
    return [{ ...entry, ...(restoredTo ? { restoredTo } : {}) }];
  });
}

/**
 * Reads the restores that the same file states.
 *
 * @throws Fault as keptHeads does
 */
export function statedRestores(env: NodeJS.ProcessEnv): readonly StatedRestore[] {
  const entries = entriesOf(env);
  return entries.flatMap((entry, place) => {
    if (!('restoredTo' in entry)) return [];
    const until = earliest(
      entries.slice(place).flatMap((later) => ('number' in later && later.at ? later.at : [])),
    );
    return [{ ...entry, ...(until ? { until } : {}) }];
  });
}

/** Heads that were recorded elsewhere, at known times, with the restores that may have lost them. */
export function afterRestores(
  heads: readonly RecordedHead[],
  restores: readonly StatedRestore[],
): readonly RecordedHead[] {
  return heads.map((head) => {
    const { at } = head;
    const restoredTo = earliest(
      restores.flatMap((restore) => (!restore.until || !at || at < restore.until ? restore.restoredTo : [])),
    );
    return restoredTo ? { ...head, restoredTo } : head;
  });
}

function earliest(moments: readonly Date[]): Date | undefined {
  return moments.length > 0 ? new Date(Math.min(...moments.map((moment) => moment.getTime()))) : undefined;
}

type Entry = Omit<RecordedHead, 'restoredTo'> | { readonly restoredTo: Date };

/** The lines of the file in their order. */
function entriesOf(env: NodeJS.ProcessEnv): readonly Entry[] {
  const file = env[headsVariable];
  if (!file) return [];
  if (!existsSync(file)) {
    throw new Fault(
      'audit/heads-missing',
      `The file of audit heads ${file} does not exist`,
      `${headsVariable} names it; without it a chain that was made anew is found by the recorded releases only`,
      `Restore the file, or begin one: llama-db audit head <environment> >> ${file}. Unset ${headsVariable} to go without.`,
      { exitCode: 2 },
    );
  }
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, place): readonly Entry[] => {
      const words = line.trim().split(/\s+/);
      const [first = '', last = ''] = [words[0], words.at(-1)];
      if (first === '' || first.startsWith('#')) return [];
      if (first === 'restored-to') return [{ restoredTo: parseMoment(last) }];
      const at = words.length > 1 ? instant(first) : undefined;
      return [{ ...parseHead(last), origin: `${file}, line ${place + 1}`, ...(at ? { at } : {}) }];
    });
}

/**
 * A moment that a database was restored to.
 *
 * @throws Fault (exit 2) unless it is an instant in ISO 8601 with its offset
 */
export function parseMoment(text: string): Date {
  const moment = instant(text);
  if (moment) return moment;
  throw new Fault(
    'audit/not-a-moment',
    `${JSON.stringify(text)} is not a moment`,
    'a restore is to an instant, whose offset must be known',
    'Write it as 2026-11-27T09:30:00Z.',
    { exitCode: 2 },
  );
}

function instant(text: string): Date | undefined {
  const date = new Date(text);
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)$/.test(text) && !Number.isNaN(date.getTime())
    ? date
    : undefined;
}

/** Adds the head of a deployment to that file, if the variable names one. */
export function keepHead(env: NodeJS.ProcessEnv, head: string): void {
  const file = env[headsVariable];
  if (file) appendFileSync(file, `${new Date().toISOString()} ${head}\n`);
}

/** A release as the database records it. */
export interface RecordedRelease {
  readonly id: string;
  readonly head: string | null;
  readonly at: Date;
}

/** unfiltered.ts reports a table that this role may not read. */
async function stateOfReleases(client: pg.ClientBase): Promise<'readable' | 'unreadable' | 'missing'> {
  const { rows } = await client.query<{ readable: boolean | null }>(
    "SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass('llama.releases'), 'SELECT') AS readable",
  );
  const readable = rows[0]?.readable ?? null;
  return readable === null ? 'missing' : readable ? 'readable' : 'unreadable';
}

/** Heads of releases. One that cannot be parsed is a finding. The session needs admin_role. */
export async function headsOfReleases(client: pg.ClientBase, find: Find): Promise<readonly RecordedHead[]> {
  if ((await stateOfReleases(client)) !== 'readable') return [];
  const { rows } = await client.query<RecordedRelease>(
    'SELECT id::text, audit_head AS head, released_at AS at FROM llama.releases WHERE audit_head IS NOT NULL ORDER BY releases.id',
  );
  return rows.flatMap(({ id, head, at }) => {
    try {
      return [{ ...parseHead(head ?? ''), origin: `release ${id}`, at }];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const detail = `release ${id} records ${JSON.stringify(head)}, which is not the head of a chain`;
      find({ kind: 'forged release', detail });
      return [];
    }
  });
}

/** Compares recorded heads with the seals of a chain, one seal at a time. */
export class HeadComparison {
  readonly #open: Map<number, readonly RecordedHead[]>;
  readonly #find: Find;
  readonly #remark: Remark;

  /** @param remark @default - heads that a restore has lost are not remarked */
  constructor(heads: readonly RecordedHead[], find: Find, remark: Remark = () => {}) {
    this.#find = find;
    this.#remark = remark;
    this.#open = new Map();
    for (const head of heads) this.#open.set(head.number, [...(this.#open.get(head.number) ?? []), head]);
  }

  pass(seal: Seal): void {
    const expected = this.#open.get(seal.number);
    if (!expected) return;
    this.#open.delete(seal.number);
    const hash = hashOf(seal);
    for (const head of expected) {
      if (head.hash === hash) continue;
      const { number } = seal;
      // The chain goes on after a restore, and gives the numbers of lost seals to new ones.
      if (isLost(head) && Number(seal.sealedAt) * 1000 >= head.restoredTo.getTime()) {
        this.#lost(head, `seal ${number} of ${head.origin} was lost by the restore to`);
        continue;
      }
      const detail = `seal ${number} differs from the head of ${head.origin}: the chain was recomputed since then${orRestored(head)}`;
      this.#find({ kind: 'other chain', seal: number, detail });
    }
  }

  /** Heads that no seal has met. */
  end(last: Seal | undefined): void {
    const newest = last ? `the newest seal is ${last.number}` : 'the chain is empty';
    for (const [number, heads] of [...this.#open].sort(([a], [b]) => a - b)) {
      const missing = heads.filter((head) => {
        if (!isLost(head)) return true;
        this.#lost(head, `seal ${number} of ${head.origin} does not exist since the restore to`);
        return false;
      });
      const [first] = missing;
      if (!first) continue;
      const origins = missing.map(({ origin }) => origin).join(', ');
      const detail = `seal ${number} of ${origins} does not exist: ${newest}, and later seals were removed${orRestored(first)}`;
      this.#find({ kind: 'other chain', seal: number, detail });
    }
  }

  #lost({ number, restoredTo }: LostHead, begin: string): void {
    this.#remark({ kind: 'restored', seal: number, detail: `${begin} ${restoredTo.toISOString()}` });
  }
}

type LostHead = RecordedHead & { readonly restoredTo: Date };

/** A head recorded before the moment of the restore must be there. */
function isLost(head: RecordedHead): head is LostHead {
  return head.restoredTo !== undefined && (head.at === undefined || head.at > head.restoredTo);
}

const orRestored = ({ restoredTo }: RecordedHead) =>
  restoredTo ? '' : '. If the database was restored to an earlier moment, state it: docs/restoring.md';

/**
 * Compares the table of releases with the audit rows of its inserts. Both must be forged to hide a release; the audit rows
 * are sealed. Releases before the first audit row of one, or whose month has left the trail, are not compared.
 */
export async function compareReleases(client: pg.ClientBase, find: Find): Promise<void> {
  const state = await stateOfReleases(client);
  if (state === 'missing') {
    const { rowCount } = await client.query(
      "SELECT FROM llama.audit_trail AS a WHERE a.tenant_id = '' AND a.table_name = 'releases' LIMIT 1",
    );
    if (rowCount)
      find({ kind: 'forged release', detail: 'llama.releases is gone, but the audit trail has its rows' });
  }
  if (state !== 'readable') return;
  const { rows } = await client.query<{ id: string; stored: boolean; recorded: boolean }>(
    `WITH recorded AS (
       SELECT a.record_key AS id, a.new_values AS content FROM llama.audit_trail AS a
        WHERE a.tenant_id = '' AND a.table_name = 'releases' AND a.operation = 'INSERT' AND a.record_key ~ '^[0-9]{1,18}$'
     ), stored AS (
       SELECT r.id::text AS id, pg_catalog.to_jsonb(r) AS content, r.released_at FROM llama.releases AS r
        WHERE r.id >= (SELECT min(e.id::bigint) FROM recorded AS e)
     )
     SELECT coalesce(s.id, e.id) AS id, s.id IS NOT NULL AS stored, e.id IS NOT NULL AS recorded
       FROM stored AS s FULL JOIN recorded AS e ON e.id = s.id
         -- The text of an instant depends on the session, so instants are compared as such.
      WHERE s.content - 'released_at' IS DISTINCT FROM e.content - 'released_at'
         OR s.released_at IS DISTINCT FROM (e.content ->> 'released_at')::timestamptz
      ORDER BY coalesce(s.id, e.id)::bigint LIMIT 20`,
  );
  for (const { id, stored, recorded } of rows) {
    const detail = !stored
      ? `release ${id} is in the audit trail, but no longer in llama.releases`
      : recorded
        ? `release ${id} differs from its audit row: it was rewritten`
        : `release ${id} has no audit row: it was added past the audit trigger`;
    find({ kind: 'forged release', detail });
  }
}
