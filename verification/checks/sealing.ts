/** Whether the audit trail is sealed, and whether its seals are intact. */
import { hashOf } from '../../database/audit/canonical.ts';
import { partitionOf } from '../../database/audit/months.ts';
import { writesAuditTrail } from '../../database/schema/roles.ts';
import { checksOf, type Finding, type Outcome } from '../check.ts';
import {
  auditTable,
  fires,
  foreignGrants,
  granted,
  maintenanceOwner,
  maintenanceRole,
  modelOf,
  nameOf,
  owner,
  sealRole,
  sealTable,
  signatureOf,
} from '../model.ts';
import { counted, judge, listed, skip, unread } from '../outcome.ts';
import { grantsOn } from '../reach.ts';
import type { Grant, Relation, Routine, Sealing, Snapshot } from '../snapshot/snapshot.ts';

/** Minutes that a row may wait for its seal. pg_cron seals every minute, up to the row noted a minute before. */
const sealDelayMinutes = 15;

const progressTable = 'llama.audit_sealing';
const source = 'migrations/0012_audit_seals.sql';

function withSealing(snapshot: Snapshot, assert: (sealing: Sealing) => Outcome): Outcome {
  const { sealing } = snapshot;
  if ('unreadable' in sealing) return unread(sealing, 'the seals cannot be read');
  return assert(sealing);
}

function linkFindings({ head }: Sealing): readonly Finding[] {
  return head.flatMap((seal, place): Finding[] => {
    const object = `seal ${seal.number}`;
    const previous = head[place - 1];
    const findings: Finding[] = [];
    if (hashOf(seal) !== seal.hash) {
      findings.push({ object, detail: 'was rewritten: its hash does not match its content' });
    }
    if (previous && seal.number !== previous.number + 1) {
      findings.push({
        object,
        detail: `follows seal ${previous.number}: the seals between them are missing`,
      });
    } else if (previous && seal.previousHash !== previous.hash) {
      findings.push({
        object,
        detail: `does not contain the hash of seal ${previous.number}: one of them was replaced`,
      });
    }
    return findings;
  });
}

function contentFindings({ contents }: Sealing): readonly Finding[] {
  return contents.flatMap(({ number, seal, rows, hash }): Finding[] => {
    if (BigInt(rows) === seal.rowCount && hash === seal.contentHash) return [];
    const detail =
      BigInt(rows) === seal.rowCount
        ? 'a row has changed since'
        : `has ${counted(BigInt(rows), 'row')}, sealed were ${seal.rowCount}`;
    const partition = partitionOf(seal.month);
    return [
      { object: `seal ${number}, ${partition}, ${seal.firstSequence} to ${seal.lastSequence}`, detail },
    ];
  });
}

/** Grants on a table and on its columns that neither the owner nor `allowed` explains. */
function excessGrants(
  snapshot: Snapshot,
  table: Relation,
  allowed: Readonly<Record<string, readonly string[]>>,
): readonly Grant[] {
  return foreignGrants(grantsOn(snapshot, table), table.owner).filter(
    ({ grantee, privilege }) => !allowed[grantee]?.includes(privilege),
  );
}

/** Functions that seal and close the trail, and the functions that they call. */
function sealers(snapshot: Snapshot): readonly Routine[] {
  return snapshot.functions.filter(({ source: text }) => /\bllama\.audit_(seals|sealing)\b/i.test(text));
}

export const checks = checksOf('audit', [
  {
    id: 'AUD-010',
    name: 'audit-trail-sealed-in-time',
    loses: 'traces',
    title: `The audit trail is sealed within ${sealDelayMinutes} minutes`,
    inspects: `age of the oldest row of ${auditTable} after the newest seal`,
    why: 'The owner of the database can change unsealed rows without a trace.',
    remedy:
      'Find out what keeps pg_cron from calling llama.seal_audit_trail(), or end the transaction that has been writing since then. Without pg_cron, run llama-db audit seal every minute.',
    source,
    run: ({ snapshot }) =>
      withSealing(snapshot, ({ unsealed: { rows, limit, oldest } }) => {
        const many = rows >= limit ? `${limit} or more rows` : counted(rows, 'row');
        if (!oldest) return judge('no unsealed rows', []);
        const minutes = Math.floor((snapshot.server.now.getTime() - oldest.getTime()) / 60_000);
        const backlog = `has ${many} unsealed, the oldest for ${counted(minutes, 'minute')}`;
        return judge(backlog, minutes >= sealDelayMinutes ? [{ object: auditTable, detail: backlog }] : []);
      }),
  },
  {
    id: 'AUD-011',
    name: 'newest-seals-match-rows',
    loses: 'evidence',
    title: 'The newest seals match their audit rows',
    inspects:
      'hashes and links of the newest 50 seals; rows of the newest 3 and of the newest one of each month; llama-db audit verify reads all of them',
    why: 'If a seal does not match its rows or the previous seal, somebody has changed the trail.',
    remedy:
      'Run llama-db audit verify, which reports what was changed and where. Preserve the server, and compare it with a backup.',
    source,
    run: ({ snapshot }) =>
      withSealing(snapshot, (sealing) =>
        judge(`${counted(sealing.head.length, 'seal')}, rows of ${sealing.contents.length}`, [
          ...linkFindings(sealing),
          ...contentFindings(sealing),
        ]),
      ),
  },
  {
    id: 'AUD-012',
    name: 'missing-months-were-closed',
    loses: 'evidence',
    title: 'Every removed month of the audit trail has a closing seal that counts',
    inspects:
      'months that have seals, their partitions, and whether the newest seal of each month is a closing after its retention',
    why: 'Without it a month that retention removed cannot be distinguished from one that somebody deleted.',
    remedy:
      'Attach the partition again if it still exists. Otherwise something other than llama-db maintain removed it.',
    source,
    run: ({ snapshot }) =>
      withSealing(snapshot, ({ months }) =>
        judge(
          `${counted(months.length, 'month')}, ${months.filter(({ closed }) => closed).length} closed`,
          months
            .filter(({ attached, closed }) => !attached && !closed)
            .map(({ month }) => ({
              object: `llama.${partitionOf(month)}`,
              detail: 'has seals, but neither a partition nor a closing seal that counts',
            })),
        ),
      ),
  },
  {
    id: 'AUD-013',
    name: 'seals-append-only',
    loses: 'evidence',
    title: 'Seals can only be added, and only by the seal role',
    inspects: `grants, forced row-level security, policies and refusing triggers of ${sealTable}; grants of ${progressTable}`,
    why: 'A chain of seals that its subjects can rewrite proves nothing.',
    remedy:
      'REVOKE the privileges in the findings; create or enable the triggers and policies as migration 0012 does.',
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const seals = model.named(sealTable);
      const progress = model.named(progressTable);
      if (!seals || !progress) return skip(`${seals ? progressTable : sealTable} does not exist`);
      const excess = [
        ...excessGrants(snapshot, seals, { [sealRole]: ['SELECT', 'INSERT'], admin_role: ['SELECT'] }),
        ...excessGrants(snapshot, progress, { [sealRole]: ['SELECT', 'UPDATE'] }),
      ];
      const guards = model
        .triggersOf(seals)
        .filter((trigger) => fires(trigger, 'before'))
        .filter(({ function: oid }) => /\bRAISE\s+EXCEPTION\b/i.test(model.routine(oid)?.source ?? ''));
      const open = (['update', 'delete', 'truncate'] as const).filter(
        (command) => !guards.some((guard) => fires(guard, command)),
      );
      const policies = snapshot.policies.filter(
        ({ relation, command, roles }) =>
          relation === seals.oid &&
          !roles.every((role) =>
            role === sealRole ? command === 'r' || command === 'a' : role === 'admin_role' && command === 'r',
          ),
      );
      return judge(`${sealTable}, ${progressTable}`, [
        ...granted(sealTable, excess),
        ...(seals.rls && seals.forcedRls
          ? []
          : [{ object: sealTable, detail: 'does not force row-level security: its owner may add seals' }]),
        ...listed(sealTable, 'does not refuse', open),
        ...policies.map(({ name, roles }) => ({
          object: sealTable,
          detail: `policy ${name} gives ${roles.join(', ')} more than migration 0012 does`,
        })),
      ]);
    },
  },
  {
    id: 'AUD-014',
    name: 'sealing-functions-run-as-sealer',
    loses: 'barrier',
    title: 'Sealing functions run as the seal role, which has no other privileges',
    inspects: `owner, SECURITY DEFINER and EXECUTE of the functions that use ${sealTable}; every privilege of ${sealRole}`,
    why: 'Another caller could delay or forge seals, and an error in the functions can use every privilege of the role.',
    remedy: `ALTER FUNCTION … OWNER TO ${sealRole}; REVOKE the privileges in the findings.`,
    source,
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const functions = sealers(snapshot);
      if (functions.length === 0) return skip(`no function uses ${sealTable}`);
      const callers = new Set([sealRole, owner, maintenanceRole, maintenanceOwner]);
      const allowed = new Set([
        `${sealTable} SELECT`,
        `${sealTable} INSERT`,
        `${progressTable} SELECT`,
        `${progressTable} UPDATE`,
        `${auditTable} SELECT`,
        'llama.audit_sequence SELECT',
        'llama.partitioned_tables SELECT',
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
          const others = routine.grants.filter(({ grantee }) => !callers.has(grantee));
          return [
            ...(routine.owner === sealRole ? [] : [{ object, detail: `is owned by ${routine.owner}` }]),
            ...granted(object, others),
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
    loses: 'traces',
    title: 'llama.scheduled_jobs() seals the audit trail every minute',
    inspects: 'llama.scheduled_jobs(); SCH-001 compares pg_cron with it',
    why: 'Without the job nothing seals the trail, and its owner can rewrite it.',
    remedy: 'Put seal-audit-trail back into llama.scheduled_jobs() with a migration, then deploy.',
    source: 'migrations/0011_maintenance.sql',
    run: ({ snapshot: { scheduledJobs } }) => {
      if ('unreadable' in scheduledJobs) {
        return unread(scheduledJobs, 'llama.scheduled_jobs() cannot be called');
      }
      const job = scheduledJobs.rows.find(({ command }) => command.includes('llama.seal_audit_trail('));
      const object = 'llama.scheduled_jobs()';
      return judge(counted(scheduledJobs.rows.length, 'job'), [
        ...(job ? [] : [{ object, detail: 'has no job that seals the audit trail' }]),
        ...(job && job.schedule !== '* * * * *'
          ? [{ object, detail: `seals at ${job.schedule}, expected every minute` }]
          : []),
      ]);
    },
  },
  {
    id: 'AUD-016',
    name: 'audit-sequence-safe-for-sealing',
    loses: 'evidence',
    title: 'Audit rows get consecutive numbers that sealing cannot miss',
    inspects:
      'default of audit_trail.sequence; cache, step, cycle and last value of llama.audit_sequence; functions other than triggers that write the trail',
    why: 'Numbers that a session caches, or that start again, fall into a range that is already sealed: genuine rows then look forged.',
    remedy:
      'ALTER SEQUENCE llama.audit_sequence CACHE 1 INCREMENT 1 NO CYCLE. After a restore without sequences, setval() it to last_sequence of the newest seal.',
    source,
    run: ({ snapshot }) =>
      withSealing(snapshot, ({ numbering }) => {
        const object = 'llama.audit_sequence';
        const model = modelOf(snapshot);
        const trail = model.named(auditTable);
        const column = trail && model.columnsOf(trail).find(({ name }) => name === 'sequence');
        const early = snapshot.functions.filter(
          ({ returns, source: text }) =>
            returns !== 'trigger' &&
            writesAuditTrail(text) &&
            !/\bpg_current_xact_id\(\)[\s\S]*\bINSERT\s+INTO\s+llama\.audit_trail\b/i.test(text),
        );
        const findings: Finding[] = early.map((routine) => ({
          object: signatureOf(routine),
          detail: 'numbers a row before its transaction has an id; it must call pg_current_xact_id() first',
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
          if (cache !== 1) findings.push({ object, detail: `lets each session cache ${cache} numbers` });
          if (increment !== 1 || cycle)
            findings.push({ object, detail: `has increment ${increment}${cycle ? ' and cycles' : ''}` });
          if ((last ?? 0) < sealedThrough) {
            findings.push({
              object,
              detail: `is at ${last ?? 0}, but ${sealedThrough} is already sealed`,
            });
          }
        }
        return judge(object, findings);
      }),
  },
]);
