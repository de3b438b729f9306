/** Whether the audit trail is sealed, and whether its seals can be relied on. */
import { hashOf } from '../../database/audit/canonical.ts';
import { partitionOf } from '../../database/audit/months.ts';
import { checksOf, type Finding, type Outcome } from '../check.ts';
import {
  auditTable,
  describeGrants,
  modelOf,
  nameOf,
  owner,
  sealRole,
  sealTable,
  signatureOf,
} from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Grant, Relation, Routine, Sealing, Snapshot } from '../snapshot/facts.ts';

/** Minutes that a row may wait for its seal. pg_cron seals every minute, what was noted in the minute before. */
const patience = 15;

const progressTable = 'llama.audit_sealing';
const source = 'migrations/0012_audit_seals.sql';

function overSealing(snapshot: Snapshot, judged: (sealing: Sealing) => Outcome): Outcome {
  const { sealing } = snapshot;
  if ('unreadable' in sealing) return skip(`the seals cannot be read: ${sealing.unreadable}`);
  return judged(sealing);
}

function linkFindings({ head }: Sealing): readonly Finding[] {
  return head.flatMap((seal, place): Finding[] => {
    const object = `seal ${seal.number}`;
    const previous = head[place - 1];
    const findings: Finding[] = [];
    if (hashOf(seal) !== seal.hash) {
      findings.push({ object, detail: 'was rewritten: its hash is not that of what it says' });
    }
    if (previous && seal.number !== previous.number + 1) {
      findings.push({ object, detail: `follows seal ${previous.number}: what was between them is gone` });
    } else if (previous && seal.previousHash !== previous.hash) {
      findings.push({ object, detail: `does not hang on seal ${previous.number}: one of them was replaced` });
    }
    return findings;
  });
}

function contentFindings({ head, contents }: Sealing): readonly Finding[] {
  return contents.flatMap(({ number, rows, hash }): Finding[] => {
    const seal = head.find((candidate) => candidate.number === number);
    if (!seal || (BigInt(rows) === seal.rowCount && hash === seal.contentHash)) return [];
    const detail =
      BigInt(rows) === seal.rowCount
        ? 'a row was changed since'
        : `${rows} rows are there, ${seal.rowCount} were sealed`;
    const partition = partitionOf(seal.month);
    return [
      { object: `seal ${number}, ${partition}, ${seal.firstSequence} to ${seal.lastSequence}`, detail },
    ];
  });
}

/** Grants on a table and on its columns, to anybody but those that `allowed` names. */
function strayGrants(
  snapshot: Snapshot,
  table: Relation,
  allowed: Readonly<Record<string, readonly string[]>>,
): readonly Grant[] {
  return [...table.grants, ...snapshot.columnGrants.filter(({ relation }) => relation === table.oid)].filter(
    ({ grantee, privilege }) => grantee !== table.owner && !allowed[grantee]?.includes(privilege),
  );
}

/** What seals and closes, and what these call. */
function sealers(snapshot: Snapshot): readonly Routine[] {
  return snapshot.functions.filter(({ source: text }) => /\bllama\.audit_(seals|sealing)\b/i.test(text));
}

export const checks = checksOf('audit', [
  {
    id: 'AUD-010',
    name: 'audit-trail-sealed-in-time',
    severity: 'high',
    title: 'The audit trail is sealed up to now',
    inspects: `rows of ${auditTable} numbered after the newest seal; fails when the oldest is older than ${patience} minutes`,
    why: 'What is not sealed yet can be changed without a trace by whoever owns the database.',
    remedy:
      'Find what keeps pg_cron from llama.seal_audit_trail(), or the transaction that has been writing since then; where there is no pg_cron, run llama-db audit seal every minute.',
    source,
    run: ({ snapshot }) =>
      overSealing(snapshot, ({ unsealed: { rows, limit, oldest } }) => {
        const many = rows >= limit ? `${limit} or more rows` : counted(rows, 'row');
        if (!oldest) return judge('nothing waits to be sealed', []);
        const minutes = Math.floor((snapshot.server.now.getTime() - oldest.getTime()) / 60_000);
        const window = `${many} not sealed, the oldest for ${counted(minutes, 'minute')}`;
        return judge(window, minutes >= patience ? [{ object: auditTable, detail: window }] : []);
      }),
  },
  {
    id: 'AUD-011',
    name: 'newest-seals-match-rows',
    severity: 'critical',
    title: 'The newest part of the audit trail is what was sealed',
    inspects:
      'hashes and links of the newest 50 seals, rows of the newest 3; llama-db audit verify looks at all of them',
    why: 'A seal that does not fit its rows or the seal before it means that somebody changed the trail.',
    remedy:
      'llama-db audit verify says what and where. Keep the server as it is, and compare it with a backup.',
    source,
    run: ({ snapshot }) =>
      overSealing(snapshot, (sealing) =>
        judge(`${counted(sealing.head.length, 'seal')}, rows of ${sealing.contents.length}`, [
          ...linkFindings(sealing),
          ...contentFindings(sealing),
        ]),
      ),
  },
  {
    id: 'AUD-012',
    name: 'missing-months-were-closed',
    severity: 'critical',
    title: 'No month of the audit trail is gone without its closing hash',
    inspects: 'months that have seals, their partitions, and whether the newest seal of each is its closing',
    why: 'Without it nobody can tell a month that was past its retention from one that somebody removed.',
    remedy:
      'Attach the partition again if it still exists; otherwise it was removed by other means than llama-db maintain.',
    source,
    run: ({ snapshot }) =>
      overSealing(snapshot, ({ months }) =>
        judge(
          `${counted(months.length, 'month')}, ${months.filter(({ closed }) => closed).length} closed`,
          months
            .filter(({ attached, closed }) => !attached && !closed)
            .map(({ month }) => ({
              object: `llama.${partitionOf(month)}`,
              detail: 'has seals, no partition and no closing hash of them',
            })),
        ),
      ),
  },
  {
    id: 'AUD-013',
    name: 'seals-append-only',
    severity: 'critical',
    title: 'Seals are out of reach, and only ever added to',
    inspects: `grants, forced row-level security, policies and refusing triggers of ${sealTable}; grants of ${progressTable}`,
    why: 'A chain that its subjects can rewrite proves nothing.',
    remedy: 'REVOKE what is named; create or enable the triggers and policies as migration 0012 does.',
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const seals = model.named(sealTable);
      const progress = model.named(progressTable);
      if (!seals || !progress) return skip(`${seals ? progressTable : sealTable} does not exist`);
      const stray = [
        ...strayGrants(snapshot, seals, { [sealRole]: ['SELECT', 'INSERT'], admin_role: ['SELECT'] }),
        ...strayGrants(snapshot, progress, { [sealRole]: ['SELECT', 'UPDATE'] }),
      ];
      const guards = model
        .triggersOf(seals)
        .filter(({ enabled, type }) => (enabled === 'O' || enabled === 'A') && type & 2)
        .filter(({ function: oid }) => /\bRAISE\s+EXCEPTION\b/i.test(model.routine(oid)?.source ?? ''));
      const kinds = { update: 16, delete: 8, truncate: 32 } as const;
      const open = Object.entries(kinds).filter(([, bit]) => !guards.some(({ type }) => type & bit));
      const policies = snapshot.policies.filter(
        ({ relation, command, roles }) =>
          relation === seals.oid &&
          !roles.every((role) =>
            role === sealRole ? command === 'r' || command === 'a' : role === 'admin_role' && command === 'r',
          ),
      );
      return judge(`${sealTable}, ${progressTable}`, [
        ...(stray.length > 0 ? [{ object: sealTable, detail: describeGrants(stray) }] : []),
        ...(seals.rls && seals.forcedRls
          ? []
          : [{ object: sealTable, detail: 'row-level security is not forced: its owner may add seals' }]),
        ...(open.length > 0
          ? [{ object: sealTable, detail: `${open.map(([name]) => name).join(', ')} is not refused` }]
          : []),
        ...policies.map(({ name, roles }) => ({
          object: sealTable,
          detail: `policy ${name} lets ${roles.join(', ')} do more than migration 0012 does`,
        })),
      ]);
    },
  },
  {
    id: 'AUD-014',
    name: 'sealing-functions-run-as-sealer',
    severity: 'high',
    title: 'What seals the trail runs as the role that may do nothing else',
    inspects: `owner, SECURITY DEFINER and EXECUTE of the functions that use ${sealTable}; every privilege of ${sealRole}`,
    why: 'Whoever else may run it can delay or forge seals; whatever else it may do, a fault in it may do.',
    remedy: `ALTER FUNCTION … OWNER TO ${sealRole}; REVOKE what is named.`,
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const functions = sealers(snapshot);
      if (functions.length === 0) return skip(`no function uses ${sealTable}`);
      const callers = new Set([sealRole, owner, 'maintenance_role']);
      const allowed = new Set([
        `${sealTable} SELECT`,
        `${sealTable} INSERT`,
        `${progressTable} SELECT`,
        `${progressTable} UPDATE`,
        `${auditTable} SELECT`,
        'llama.audit_sequence SELECT',
      ]);
      const held = [
        ...snapshot.relations.flatMap((relation) =>
          relation.grants.map((grant) => ({ ...grant, object: nameOf(relation) })),
        ),
        ...snapshot.columnGrants.map((grant) => ({
          ...grant,
          object: nameOf(model.relation(grant.relation) ?? { schema: '?', name: String(grant.relation) }),
        })),
      ].filter(
        ({ grantee, object, privilege }) => grantee === sealRole && !allowed.has(`${object} ${privilege}`),
      );
      return judge(counted(functions.length, 'function'), [
        ...functions.flatMap((routine): Finding[] => {
          const object = signatureOf(routine);
          const strangers = routine.grants.filter(({ grantee }) => !callers.has(grantee));
          return [
            ...(routine.owner === sealRole ? [] : [{ object, detail: `belongs to ${routine.owner}` }]),
            ...(strangers.length > 0 ? [{ object, detail: describeGrants(strangers) }] : []),
          ];
        }),
        ...held.map(({ object, privilege }) => ({
          object: `role ${sealRole}`,
          detail: `also has ${privilege} on ${object}`,
        })),
      ]);
    },
  },
  {
    id: 'AUD-015',
    name: 'sealing-scheduled-every-minute',
    severity: 'high',
    title: 'Sealing is among the jobs, every minute',
    inspects: 'llama.scheduled_jobs(); whether pg_cron has them is SCH-001’s question',
    why: 'A trail that nothing seals is a trail that its owner can rewrite.',
    remedy: 'Put seal-audit-trail back into llama.scheduled_jobs() in a migration, then deploy.',
    source: 'migrations/0011_maintenance.sql',
    run: ({ snapshot: { scheduledJobs } }) => {
      if ('unreadable' in scheduledJobs) {
        return skip(`llama.scheduled_jobs() cannot be called: ${scheduledJobs.unreadable}`);
      }
      const job = scheduledJobs.rows.find(({ command }) => command.includes('llama.seal_audit_trail('));
      const object = 'llama.scheduled_jobs()';
      return judge(counted(scheduledJobs.rows.length, 'job'), [
        ...(job ? [] : [{ object, detail: 'has no job that seals the audit trail' }]),
        ...(job && job.schedule !== '* * * * *'
          ? [{ object, detail: `seals at ${job.schedule}, not every minute` }]
          : []),
      ]);
    },
  },
  {
    id: 'AUD-016',
    name: 'audit-sequence-safe-for-sealing',
    severity: 'critical',
    title: 'Rows are numbered so that sealing passes none by',
    inspects:
      'default of audit_trail.sequence; cache, step and cycle of llama.audit_sequence, and whether it is behind the seals; what else than a trigger writes the trail',
    why: 'Numbers that a session keeps for later, or that begin again, land in a range that was sealed without them: honest rows then look like forged ones.',
    remedy:
      'ALTER SEQUENCE llama.audit_sequence CACHE 1 INCREMENT 1 NO CYCLE; after a restore without sequences, setval() it to the newest seal’s last_sequence.',
    source,
    run: ({ snapshot }) =>
      overSealing(snapshot, ({ numbering }) => {
        const object = 'llama.audit_sequence';
        const model = modelOf(snapshot);
        const trail = model.named(auditTable);
        const column = trail && model.columnsOf(trail).find(({ name }) => name === 'sequence');
        const early = snapshot.functions.filter(
          ({ returns, source: text }) =>
            returns !== 'trigger' &&
            /\bINSERT\s+INTO\s+llama\.audit_trail\b/i.test(text) &&
            !/\bpg_current_xact_id\(\)[\s\S]*\bINSERT\s+INTO\s+llama\.audit_trail\b/i.test(text),
        );
        const findings: Finding[] = early.map((routine) => ({
          object: signatureOf(routine),
          detail: 'numbers a row before its transaction has an id: call pg_current_xact_id() first',
        }));
        if (!/^nextval\('llama\.audit_sequence'::regclass\)$/.test(column?.expression ?? '')) {
          findings.push({
            object: `${auditTable}.sequence`,
            detail: `has the default ${column?.expression ?? 'NULL'}`,
          });
        }
        if (!numbering) findings.push({ object, detail: 'does not exist' });
        else {
          const { cache, increment, cycle, last, sealedThrough } = numbering;
          if (cache !== 1) findings.push({ object, detail: `lets each session keep ${cache} numbers` });
          if (increment !== 1 || cycle)
            findings.push({ object, detail: `counts by ${increment}${cycle ? ', in a circle' : ''}` });
          if ((last ?? 0) < sealedThrough) {
            findings.push({
              object,
              detail: `stands at ${last ?? 0}, and ${sealedThrough} is sealed already`,
            });
          }
        }
        return judge(object, findings);
      }),
  },
]);
