/** Whether the evidence itself is whole: closings, recorded heads, releases, the view of the reader, times, and TRUNCATE. */
import { sealedColumns } from '../../database/audit/canonical.ts';
import type { TrailFinding } from '../../database/audit/findings.ts';
import { HeadComparison, headsVariable, type RecordedHead } from '../../database/audit/heads.ts';
import { partitionOf } from '../../database/audit/months.ts';
import { leastRetentionDays } from '../../database/audit/retention.ts';
import { newestSeals, sealsNumbered } from '../../database/audit/seals.ts';
import { readOnly } from '../../database/transaction.ts';
import { type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import {
  adminRole,
  auditFunctions,
  auditTable,
  fires,
  includes,
  modelOf,
  nameOf,
  schema,
  sealTable,
} from '../model.ts';
import { blind, counted, judge, listed, skip, unread } from '../outcome.ts';
import type { Relation, Sealing, Snapshot } from '../snapshot/snapshot.ts';

const source = 'migrations/0012_audit_seals.sql';
const evidence = 'migrations/0016_evidence.sql';

function withSealing({ sealing }: Snapshot, assert: (sealing: Sealing) => Outcome | Promise<Outcome>) {
  if ('unreadable' in sealing) return unread(sealing, 'the seals cannot be read');
  return assert(sealing);
}

/** The reader's distortions are known even if they make the rows unreadable. */
function distorted(
  { sealing }: Snapshot,
  kind: 'filtered reading' | 'unsealed column',
  inspected: string,
): Outcome {
  if (!sealing.distortions) {
    return blind(`the seals cannot be read: ${'unreadable' in sealing ? sealing.unreadable : 'no facts'}`);
  }
  const found = sealing.distortions.filter((distortion) => distortion.kind === kind);
  return judge(
    inspected,
    found.map(({ object, detail }) => ({ object, detail })),
  );
}

/** Tables without tenants whose rows prove something or lead maintenance. */
const evidenceTables = [
  ...['releases', 'schema_migrations', 'pgmigrations', 'partitioned_tables', 'encrypted_columns'],
  'audit_sealing',
];

const writersOf = (snapshot: Snapshot): ReadonlySet<number> =>
  new Set(auditFunctions(snapshot).map(({ oid }) => oid));

/** By the catalog: a new table of tenants, and a new table with an audit trigger, is one of them. */
function protectedTables(snapshot: Snapshot): readonly Relation[] {
  const model = modelOf(snapshot);
  const writers = writersOf(snapshot);
  const audited = snapshot.triggers
    .filter(({ function: oid }) => writers.has(oid))
    .map(({ relation }) => relation);
  const named = evidenceTables.flatMap((name) => model.named(`${schema}.${name}`) ?? []);
  const tables = new Set<Relation>([
    ...model.tenantTables,
    ...named,
    ...audited.flatMap((oid) => model.relation(oid) ?? []),
  ]);
  for (const table of tables) for (const leaf of model.leavesOf(table)) tables.add(leaf);
  const trail = model.named(auditTable);
  return [...tables].filter((table) => table !== trail && table.parent !== trail?.oid);
}

const described = (object: string, findings: readonly TrailFinding[]): readonly Finding[] =>
  findings.map(({ detail }) => ({ object, detail: `contradicts the chain: ${detail}` }));

/** Heads that are outside the database, which its owner cannot rewrite. */
async function findingsOf(
  client: CheckInput['client'],
  keptHeads: readonly RecordedHead[],
): Promise<readonly TrailFinding[]> {
  if (keptHeads.length === 0) return [];
  return readOnly(client, async () => {
    await client.query(`SET LOCAL ROLE ${adminRole}`);
    const findings: TrailFinding[] = [];
    const comparison = new HeadComparison(keptHeads, (finding) => findings.push(finding));
    for (const seal of await sealsNumbered(client, keptHeads)) comparison.pass(seal);
    comparison.end((await newestSeals(client, 1))[0]);
    return findings;
  });
}

export const checks = checksOf('audit', [
  {
    id: 'AUD-020',
    name: 'months-closed-after-retention',
    loses: 'evidence',
    title: 'Every month of the audit trail was closed after its retention',
    inspects: `closing seals: their time, and their retention against the longest one that the seals record since the first row of the month, at least ${leastRetentionDays} days`,
    why: 'Someone who may close a month early may remove what happened in it.',
    remedy:
      'Run llama-db audit verify. Preserve the server: the rows of that month exist only in backups, unless its partition is still there.',
    source,
    run: ({ snapshot }) =>
      withSealing(snapshot, ({ closings }) =>
        judge(
          counted(closings.length, 'closing seal'),
          closings.flatMap(({ number, month, failure }): Finding[] =>
            failure ? [{ object: `seal ${number}, llama.${partitionOf(month)}`, detail: failure }] : [],
          ),
        ),
      ),
  },
  {
    id: 'AUD-021',
    name: 'recorded-heads-in-chain',
    loses: 'evidence',
    title: 'The chain of seals contains every recorded head',
    inspects: `audit_head of llama.releases, and the heads of the file that ${headsVariable} names, against the seals of their numbers`,
    why: 'A chain that was made anew, or cut off, is consistent in itself: only a head recorded earlier contradicts it.',
    remedy:
      'Run llama-db audit verify. Preserve the server, and compare it with a backup from before that release.',
    source: 'docs/audit.md, Verification',
    run: (input) =>
      withSealing(input.snapshot, async ({ releases: { compared, findings } }) =>
        judge(counted(compared + (input.keptHeads?.length ?? 0), 'recorded head'), [
          ...described(
            sealTable,
            findings.filter(({ kind }) => kind === 'other chain'),
          ),
          ...described(sealTable, await findingsOf(input.client, input.keptHeads ?? [])),
        ]),
      ),
  },
  {
    id: 'AUD-029',
    name: 'logged-heads-in-chain',
    loses: 'evidence',
    title: 'The chain of seals contains every head of the server log',
    inspects:
      'heads that administrators and maintenance wrote into the log of the servers, in the Log Analytics workspace of the settings, against the seals of their numbers',
    why: 'The owner of the database can make the chain anew with all releases in it, but the workspace is out of its reach.',
    remedy:
      'Run llama-db audit verify. After a restore, or if the database was made anew under the name of its server, state it (docs/restoring.md). Otherwise preserve the server, and find in the log who was logged in after the newest head that the chain still contains.',
    source: 'docs/audit.md, Heads',
    run: async ({ client, deployment, loggedHeads }) => {
      if (!loggedHeads) {
        return skip(
          deployment?.surroundings
            ? 'this run does not read the workspace of logs; llama-db verify does'
            : 'the settings have no workspace for logs',
        );
      }
      const heads = await loggedHeads();
      if ('unreadable' in heads) return unread(heads);
      return judge(
        counted(heads.value.length, 'logged head'),
        described(sealTable, await findingsOf(client, heads.value)),
      );
    },
  },
  {
    id: 'AUD-022',
    name: 'releases-match-audit-rows',
    loses: 'evidence',
    title: 'Every release is as the audit trail recorded it',
    inspects: 'llama.releases against the audit rows of its inserts, and the form of each audit_head',
    why: 'Releases hold the heads of the chain and the results of verification. Their own table proves nothing if it can be rewritten.',
    remedy: 'Find out who changed llama.releases, and compare it with the logs of the deployments.',
    source: evidence,
    run: ({ snapshot }) =>
      withSealing(snapshot, ({ releases: { findings } }) =>
        judge(
          'llama.releases',
          findings
            .filter(({ kind }) => kind === 'forged release')
            .map(({ detail }) => ({ object: 'llama.releases', detail })),
        ),
      ),
  },
  {
    id: 'AUD-023',
    name: 'audit-reading-unfiltered',
    loses: 'evidence',
    title: 'Verification sees every row of the audit trail',
    inspects: `kind, rules and policies of ${auditTable}, its partitions, ${sealTable} and llama.releases, as they apply to ${adminRole}`,
    why: 'Everybody on Azure reads through policies. One that hides a forged row makes the trail look intact.',
    remedy:
      'Drop the policy or rule, put the table of the migration back, and run llama-db audit verify again.',
    source: 'PostgreSQL manual, Row Security Policies',
    run: ({ snapshot }) =>
      distorted(snapshot, 'filtered reading', `${auditTable}, ${sealTable}, llama.releases`),
  },
  {
    id: 'AUD-024',
    name: 'audit-columns-sealed',
    loses: 'evidence',
    title: 'Seals cover every column of the audit trail',
    inspects: `columns of ${auditTable} against those in the hash of a row`,
    why: 'Nobody could notice a change of a column outside the hash, and auditors would trust it.',
    remedy:
      'Drop the column, or add it to llama.audit_content() and database/audit/canonical.ts before the first row of the trail.',
    source,
    run: ({ snapshot }) =>
      distorted(snapshot, 'unsealed column', counted(sealedColumns.length, 'sealed column')),
  },
  {
    id: 'AUD-025',
    name: 'truncate-refused',
    loses: 'evidence',
    title: 'Every table of tenants and every table of evidence refuses TRUNCATE',
    inspects: `enabled BEFORE TRUNCATE triggers that raise an error: on tables of schema ${schema} with a column tenant_id or an audit trigger, on their leaves, and on ${evidenceTables.join(', ')}; AUD-004 and AUD-013 inspect the trail and its seals`,
    why: 'Neither a row trigger nor pgaudit without class write sees a TRUNCATE: all rows of all tenants could be gone without a trace.',
    remedy:
      'CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON … FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate(); ALTER TABLE … ENABLE ALWAYS TRIGGER refuse_truncate.',
    source: evidence,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const refuses = (table: Relation) =>
        model
          .triggersOf(table)
          .some(
            (trigger) =>
              fires(trigger, 'before', 'truncate') &&
              /\bRAISE\s+EXCEPTION\b/i.test(model.routine(trigger.function)?.source ?? ''),
          );
      const tables = protectedTables(snapshot);
      return judge(
        counted(tables.length, 'table'),
        tables
          .filter((table) => !refuses(table))
          .map((table) => ({ object: nameOf(table), detail: 'does not refuse TRUNCATE' })),
      );
    },
  },
  {
    id: 'AUD-026',
    name: 'replicated-changes-audited',
    loses: 'traces',
    title: 'Audit triggers do not depend on session_replication_role',
    inspects: `tables with audit triggers and their leaves: row triggers for INSERT, UPDATE and DELETE that are enabled ALWAYS or REPLICA and write ${auditTable}; triggers that refuse TRUNCATE: enabled ALWAYS`,
    why: 'Under session_replication_role = replica, and in the apply worker of a subscription, other triggers stay silent.',
    remedy: 'ALTER TABLE … ENABLE ALWAYS TRIGGER …, as migration 0016 does.',
    source: 'PostgreSQL manual, ALTER TABLE (ENABLE ALWAYS TRIGGER)',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const writers = writersOf(snapshot);
      const tables = protectedTables(snapshot);
      const audited = tables.filter((table) =>
        [table, ...snapshot.relations.filter(({ oid }) => oid === table.parent)].some((one) =>
          model.triggersOf(one).some((trigger) => writers.has(trigger.function) && fires(trigger)),
        ),
      );
      return judge(
        `${counted(audited.length, 'audited table')}, ${counted(tables.length, 'guarded table')}`,
        [
          ...audited.flatMap((table) => {
            const recording = model
              .triggersOf(table)
              .filter(
                ({ function: oid, enabled }) => writers.has(oid) && (enabled === 'A' || enabled === 'R'),
              );
            const silent = (['insert', 'update', 'delete'] as const).filter(
              (operation) => !recording.some((trigger) => includes(trigger, 'row', operation)),
            );
            return listed(nameOf(table), 'does not audit as a replica', silent);
          }),
          ...tables.flatMap((table): Finding[] => {
            const guards = model.triggersOf(table).filter((trigger) => fires(trigger, 'truncate', 'before'));
            // AUD-025 reports a table without any.
            if (guards.length === 0 || guards.some(({ enabled }) => enabled === 'A')) return [];
            return [{ object: nameOf(table), detail: 'does not refuse TRUNCATE as a replica' }];
          }),
        ],
      );
    },
  },
  {
    id: 'AUD-027',
    name: 'audit-rows-truthfully-dated',
    loses: 'traces',
    title: 'Audit rows have the time of their writing',
    inspects:
      'times of the rows of the newest seals against the instants at which their numbers and earlier ones were noted',
    why: 'A row of an earlier time misleads every reader, and leaves with a month to which it does not belong.',
    remedy:
      'llama-db audit verify lists such rows of the whole trail. Ask who could insert as audit_writer, unless a transaction ran for more than an hour.',
    source,
    run: ({ snapshot }) =>
      withSealing(snapshot, ({ contents }) =>
        judge(
          `rows of ${counted(contents.length, 'seal')}`,
          contents
            .filter(({ misdated }) => misdated > 0)
            .map(({ number, seal, misdated }) => ({
              object: `seal ${number}, llama.${partitionOf(seal.month)}`,
              detail: `has ${counted(misdated, 'row')} of a time that the number of the row contradicts`,
            })),
        ),
      ),
  },
  {
    id: 'AUD-028',
    name: 'removed-content-was-erased',
    loses: 'evidence',
    title: 'Content of audit rows was removed by erasures only',
    inspects:
      'the newest 10,000 audit rows without content, and the ERASE row that each names; llama-db audit verify compares all of them with the digest of their erasure',
    why: 'Seals cover the hash of the content. Someone who removes content past llama.apply_retention and llama-db erase hides what was changed.',
    remedy:
      'Run llama-db audit verify. Preserve the server: the content exists only in backups from before its removal.',
    source: 'docs/audit.md, Erasure of content',
    run: ({ snapshot }) =>
      withSealing(snapshot, ({ unexplained }) =>
        judge(
          auditTable,
          unexplained.map(({ partition, rows }) => ({
            object: partition,
            detail: `has ${counted(rows, 'row')} without content that no erasure explains`,
          })),
        ),
      ),
  },
]);
