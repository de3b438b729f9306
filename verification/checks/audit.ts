import { checksOf, type Finding } from '../check.ts';
import {
  auditFunctions,
  auditRole,
  auditTable,
  everyAdministrator,
  fires,
  foreignGrants,
  granted,
  maintenanceOwner,
  modelOf,
  nameOf,
  signatureOf,
} from '../model.ts';
import { counted, judge, listed, skip } from '../outcome.ts';
import { grantsOn } from '../reach.ts';
import type { ColumnGrant } from '../snapshot/relations.ts';
import type { Grant, Relation, Snapshot, Trigger } from '../snapshot/snapshot.ts';

const operations = ['insert', 'update', 'delete'] as const;

/** Tenant tables whose changes must be audited: all except the trail itself. */
function audited(snapshot: Snapshot): readonly Relation[] {
  return modelOf(snapshot).tenantTables.filter((table) => nameOf(table) !== auditTable);
}

function auditTriggers(snapshot: Snapshot, table: Relation): readonly Trigger[] {
  const functions = new Set(auditFunctions(snapshot).map(({ oid }) => oid));
  return modelOf(snapshot)
    .triggersOf(table)
    .filter((trigger) => functions.has(trigger.function) && fires(trigger));
}

/** The operation if no trigger records it, and the roles that every trigger of it leaves out. */
function unrecorded(operation: string, triggers: readonly Trigger[]): readonly string[] {
  if (!triggers.some(({ onlyFor }) => onlyFor === null)) return [operation];
  const exempt = [...new Set(triggers.flatMap(({ exceptFor }) => exceptFor ?? []))];
  return exempt
    .filter((role) => !triggers.some((one) => one.exceptFor !== role && (one.onlyFor ?? role) === role))
    .map((role) => `${operation} by ${role}`);
}

/** Triggers that refuse a statement before it writes. */
function refusals(snapshot: Snapshot, table: Relation): readonly Trigger[] {
  const model = modelOf(snapshot);
  return model
    .triggersOf(table)
    .filter((trigger) => fires(trigger, 'before'))
    .filter((trigger) => /\bRAISE\s+EXCEPTION\b/i.test(model.routine(trigger.function)?.source ?? ''));
}

/** The privilege of erasures: an update of this column removes the content of an audit row and changes nothing else. */
const isErasing = (grant: Grant | ColumnGrant) =>
  grant.grantee === maintenanceOwner &&
  grant.privilege === 'UPDATE' &&
  'column' in grant &&
  grant.column === 'erased_by';

export const checks = checksOf('audit', [
  {
    id: 'AUD-001',
    name: 'tenant-changes-audited',
    loses: 'evidence',
    title: 'Every change of a tenant row is audited',
    inspects:
      'enabled triggers for INSERT, UPDATE and DELETE on every tenant table that call a function which writes llama.audit_trail, also for a role that one of them leaves out; for statement triggers on a partitioned table also a row trigger BEFORE UPDATE, for rows that move to another partition',
    why: 'A change without an audit row cannot be explained to an auditor or undone. PostgreSQL puts a row that MERGE moves to another partition into no transition table.',
    remedy: 'Create the triggers in a migration; ALTER TABLE … ENABLE TRIGGER if one was disabled.',
    source: 'migrations/0008_audit_trail.sql; check_postgres disabled_triggers',
    run: ({ snapshot }) => {
      const tables = audited(snapshot);
      return judge(
        counted(tables.length, 'tenant table'),
        tables.flatMap((table) => {
          const triggers = auditTriggers(snapshot, table);
          const after = triggers.filter((trigger) => !fires(trigger, 'before'));
          const moves = triggers.some((trigger) => fires(trigger, 'before', 'row', 'update'));
          const byStatement =
            modelOf(snapshot).partitioned.includes(table) && !after.every((trigger) => fires(trigger, 'row'));
          return listed(nameOf(table), 'has no audit trigger for', [
            ...operations.flatMap((operation) =>
              unrecorded(
                operation,
                after.filter((trigger) => fires(trigger, operation)),
              ),
            ),
            ...(byStatement && !moves ? ['moves to another partition'] : []),
          ]);
        }),
      );
    },
  },
  {
    id: 'AUD-002',
    name: 'leaves-have-enabled-triggers',
    loses: 'evidence',
    title: 'Every leaf has the enabled triggers of its parent, or refuses statements that name it',
    inspects:
      'row triggers of partitioned tables and their clones on leaves; on leaves of tables that statement triggers audit, triggers which refuse INSERT, UPDATE and DELETE',
    why: 'A trigger can be disabled on a single leaf: changes of that month write no audit rows, while the parent looks intact. Statement triggers of the parent do not fire for a statement that names the leaf.',
    remedy:
      'ALTER TABLE … ENABLE TRIGGER on the leaf; create refuse_leaf_write as llama.create_monthly_partition() does.',
    source: 'PostgreSQL manual, ALTER TABLE (DISABLE TRIGGER) and CREATE TRIGGER (Notes)',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const leaves = model.partitioned.flatMap((parent) =>
        model.leavesOf(parent).map((leaf) => ({ parent, leaf })),
      );
      return judge(
        counted(leaves.length, 'leaf', 'leaves'),
        leaves.flatMap(({ parent, leaf }) => {
          const clones = new Map(model.triggersOf(leaf).map((trigger) => [trigger.name, trigger]));
          const silent = model.triggersOf(parent).filter((trigger) => {
            const clone = clones.get(trigger.name);
            return fires(trigger, 'row') && !(clone && fires(clone));
          });
          const refused = refusals(snapshot, leaf).filter((trigger) => !fires(trigger, 'row'));
          const unseen = operations.filter(
            (operation) =>
              auditTriggers(snapshot, parent).some(
                (trigger) => fires(trigger, operation) && !fires(trigger, 'row'),
              ) && !refused.some((trigger) => fires(trigger, operation)),
          );
          return [
            ...listed(
              nameOf(leaf),
              'does not fire',
              silent.map(({ name }) => name),
            ),
            ...listed(nameOf(leaf), 'does not refuse unaudited', unseen),
          ];
        }),
      );
    },
  },
  {
    id: 'AUD-003',
    name: 'audit-rows-append-only',
    loses: 'evidence',
    title: 'No role may change or delete audit rows',
    inspects:
      'UPDATE, DELETE and TRUNCATE on llama.audit_trail and its columns, and INSERT for every role except the one that writes it; maintenance_owner may update erased_by, which removes content',
    why: 'An audit trail that its subjects can edit or add to proves nothing.',
    remedy: 'REVOKE … ON llama.audit_trail FROM the role.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const trail = modelOf(snapshot).named(auditTable);
      if (!trail) return skip(`${auditTable} does not exist`);
      const grants = foreignGrants(
        grantsOn(snapshot, trail).filter((grant) => !isErasing(grant)),
        trail.owner,
      ).filter(
        ({ grantee, privilege }) =>
          ['UPDATE', 'DELETE', 'TRUNCATE'].includes(privilege) ||
          (privilege === 'INSERT' && grantee !== auditRole),
      );
      return judge(auditTable, granted(auditTable, grants));
    },
  },
  {
    id: 'AUD-004',
    name: 'owner-cannot-change-audit-rows',
    loses: 'barrier',
    title: 'Triggers keep the owner from changing audit rows',
    inspects:
      'enabled triggers on llama.audit_trail that refuse UPDATE, DELETE and TRUNCATE, and TRUNCATE on each of its leaves; append_only of llama.partitioned_tables, which adds the trigger to future leaves',
    why: 'Grants do not restrict an owner: a careless migration could rewrite history without an error.',
    remedy:
      'Create the triggers append_only and append_only_truncate as migration 0008 does, or enable them.',
    source: 'migrations/0008_audit_trail.sql',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const trail = model.named(auditTable);
      if (!trail) return skip(`${auditTable} does not exist`);
      const guardsOf = (table: Relation) => refusals(snapshot, table);
      const guards = guardsOf(trail);
      const open = [
        ...(['update', 'delete'] as const).filter(
          (part) => !guards.some((guard) => fires(guard, part, 'row')),
        ),
        ...(guards.some((guard) => fires(guard, 'truncate')) ? [] : ['truncate']),
      ];
      const leaves = model.leavesOf(trail);
      const registered =
        'rows' in snapshot.registry && snapshot.registry.rows.find(({ name }) => name === trail.name);
      return judge(`${auditTable}, ${counted(leaves.length, 'leaf', 'leaves')}`, [
        ...listed(auditTable, 'does not refuse the owner', open),
        ...(registered && !registered.appendOnly
          ? [
              {
                object: auditTable,
                detail: 'is registered as not append_only: its next leaves will not refuse truncate',
              },
            ]
          : []),
        // Leaves get clones of row triggers, but not of statement triggers.
        ...leaves
          .filter((leaf) => !guardsOf(leaf).some((guard) => fires(guard, 'truncate')))
          .map((leaf) => ({ object: nameOf(leaf), detail: 'does not refuse the owner truncate' })),
      ]);
    },
  },
  {
    id: 'AUD-005',
    name: 'audit-functions-run-as-audit-writer',
    loses: 'barrier',
    title: 'Audit trigger functions run as the audit role',
    inspects: 'owner and SECURITY DEFINER of the trigger functions that write llama.audit_trail',
    why: 'With the rights of the caller a function could not write the trail; with those of another owner it could do more than write.',
    remedy: `ALTER FUNCTION … SECURITY DEFINER; ALTER FUNCTION … OWNER TO ${auditRole}.`,
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const functions = auditFunctions(snapshot);
      if (functions.length === 0) return skip('no trigger function writes llama.audit_trail');
      return judge(
        counted(functions.length, 'function'),
        functions.flatMap((routine): Finding[] => [
          ...(routine.securityDefiner
            ? []
            : [{ object: signatureOf(routine), detail: 'is not SECURITY DEFINER' }]),
          ...(routine.owner === auditRole
            ? []
            : [{ object: signatureOf(routine), detail: `is owned by ${routine.owner}` }]),
        ]),
      );
    },
  },
  {
    id: 'AUD-006',
    name: 'audit-writer-has-least-privilege',
    loses: 'barrier',
    title: 'The audit role has no other privileges',
    inspects: `every privilege of ${auditRole}`,
    why: 'Its function runs in every write of every tenant: an error in the function can use every privilege of the role.',
    remedy: `REVOKE the privileges in the findings FROM ${auditRole}.`,
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const allowed = new Set([
        `${auditTable} INSERT`,
        'llama.tenant_configs SELECT',
        'llama.audit_sequence USAGE',
      ]);
      const model = modelOf(snapshot);
      const held = [
        ...snapshot.relations.flatMap((relation) =>
          relation.grants
            .filter(({ grantee }) => grantee === auditRole)
            .map(({ privilege }) => `${nameOf(relation)} ${privilege}`),
        ),
        ...snapshot.columnGrants
          .filter(({ grantee }) => grantee === auditRole)
          .map(({ relation, privilege }) => {
            const table = model.relation(relation);
            return `${table ? nameOf(table) : relation} ${privilege}`;
          }),
      ];
      const excess = [...new Set(held)].filter((privilege) => !allowed.has(privilege));
      return judge(
        counted(held.length, 'privilege'),
        excess.map((privilege) => ({ object: `role ${auditRole}`, detail: `also has ${privilege}` })),
      );
    },
  },
  {
    id: 'AUD-007',
    name: 'logins-keep-triggers-on',
    loses: 'evidence',
    title: 'No login disables triggers through session_replication_role',
    inspects:
      'session_replication_role in the settings of roles, of the database and of the server; grants of the right to set it, except for administrators',
    why: "With 'replica' no ordinary trigger fires: neither those that write the audit trail nor those that protect it.",
    remedy:
      'ALTER ROLE … RESET session_replication_role; REVOKE SET ON PARAMETER session_replication_role FROM the role; set the server parameter to origin.',
    source: 'PostgreSQL manual, session_replication_role; Microsoft Learn, server parameters',
    run: ({ snapshot }) => {
      const server = snapshot.settings.get('session_replication_role');
      const findings: Finding[] = snapshot.roleSettings
        .filter(({ name, value }) => name === 'session_replication_role' && value !== 'origin')
        .map(({ role, value }) => ({
          object: role ? `role ${role}` : 'database',
          detail: `sets it to ${value}`,
        }));
      if (server && server.value !== 'origin') {
        findings.push({ object: 'parameter session_replication_role', detail: `is ${server.value}` });
      }
      const model = modelOf(snapshot);
      for (const { parameter, grantee } of snapshot.parameterGrants) {
        if (parameter !== 'session_replication_role' || model.reach(grantee).has(everyAdministrator))
          continue;
        findings.push({ object: grantee === 'PUBLIC' ? grantee : `role ${grantee}`, detail: 'may set it' });
      }
      return judge('settings of roles, database and server, and grants on parameters', findings);
    },
  },
]);
