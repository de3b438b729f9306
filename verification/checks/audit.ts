import { checksOf, type Finding } from '../check.ts';
import { auditRole, auditTable, describeGrants, modelOf, nameOf, signatureOf } from '../model.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Relation, Routine, Snapshot, Trigger } from '../snapshot/facts.ts';

const kinds = { row: 1, before: 2, insert: 4, delete: 8, update: 16, truncate: 32 } as const;
const operations = ['insert', 'update', 'delete'] as const;

const fires = ({ enabled }: Trigger) => enabled === 'O' || enabled === 'A';
const on = ({ type }: Trigger, ...parts: (keyof typeof kinds)[]) => parts.every((part) => type & kinds[part]);

/** Functions that write the trail: those of the role that alone may insert into it. */
function writers(snapshot: Snapshot): readonly Routine[] {
  return snapshot.functions.filter(
    ({ returns, source }) => returns === 'trigger' && /\bINSERT\s+INTO\s+llama\.audit_trail\b/i.test(source),
  );
}

/** Tenants' tables whose changes must leave a trace: all but the trail itself. */
function audited(snapshot: Snapshot): readonly Relation[] {
  return modelOf(snapshot).tenantTables.filter((table) => nameOf(table) !== auditTable);
}

function auditTriggers(snapshot: Snapshot, table: Relation): readonly Trigger[] {
  const functions = new Set(writers(snapshot).map(({ oid }) => oid));
  return modelOf(snapshot)
    .triggersOf(table)
    .filter((trigger) => functions.has(trigger.function) && on(trigger, 'row') && !on(trigger, 'before'));
}

export const checks = checksOf('audit', [
  {
    id: 'AUD-001',
    name: 'tenant-changes-audited',
    severity: 'critical',
    title: "Every change of a tenants' row is audited",
    inspects:
      "enabled row triggers for INSERT, UPDATE and DELETE on every tenants' table that call a function which writes llama.audit_trail",
    why: 'A change without a trace cannot be explained to an auditor, or undone.',
    remedy: 'Create the triggers in a migration; ALTER TABLE … ENABLE TRIGGER where somebody disabled one.',
    source: 'migrations/0008_audit_trail.sql; check_postgres disabled_triggers',
    run: ({ snapshot }) => {
      const tables = audited(snapshot);
      return judge(
        counted(tables.length, "tenants' table"),
        tables.flatMap((table): Finding[] => {
          const triggers = auditTriggers(snapshot, table).filter(fires);
          const silent = operations.filter(
            (operation) => !triggers.some((trigger) => on(trigger, operation)),
          );
          return silent.length > 0
            ? [{ object: nameOf(table), detail: `${silent.join(', ')} leave no trace` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'AUD-002',
    name: 'leaves-have-enabled-triggers',
    severity: 'critical',
    title: 'Every leaf has the triggers of its table, enabled',
    inspects: 'triggers of partitioned tables and their clones on leaves',
    why: 'A trigger can be disabled on one leaf: the changes of that month leave no trace while the parent looks whole.',
    remedy: 'ALTER TABLE … ENABLE TRIGGER on the leaf.',
    source: 'PostgreSQL manual, ALTER TABLE (DISABLE TRIGGER)',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const leaves = model.partitioned.flatMap((parent) =>
        model.leavesOf(parent).map((leaf) => ({ parent, leaf })),
      );
      return judge(
        counted(leaves.length, 'leaf', 'leaves'),
        leaves.flatMap(({ parent, leaf }): Finding[] => {
          const clones = new Map(model.triggersOf(leaf).map((trigger) => [trigger.name, trigger]));
          const silent = model.triggersOf(parent).filter((trigger) => {
            const clone = clones.get(trigger.name);
            return fires(trigger) && on(trigger, 'row') && !(clone && fires(clone));
          });
          return silent.length > 0
            ? [{ object: nameOf(leaf), detail: `does not fire ${silent.map(({ name }) => name).join(', ')}` }]
            : [];
        }),
      );
    },
  },
  {
    id: 'AUD-003',
    name: 'audit-rows-append-only',
    severity: 'critical',
    title: 'Nobody is granted to change or remove audit rows',
    inspects:
      'UPDATE, DELETE, TRUNCATE on llama.audit_trail and its columns, and INSERT for anybody but the role that writes it',
    why: 'A trail that its subjects can edit, or write lines into, proves nothing.',
    remedy: 'REVOKE … ON llama.audit_trail FROM the role.',
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const trail = modelOf(snapshot).named(auditTable);
      if (!trail) return skip(`${auditTable} does not exist`);
      const grants = [
        ...trail.grants,
        ...snapshot.columnGrants.filter(({ relation }) => relation === trail.oid),
      ].filter(
        ({ grantee, privilege }) =>
          grantee !== trail.owner &&
          (['UPDATE', 'DELETE', 'TRUNCATE'].includes(privilege) ||
            (privilege === 'INSERT' && grantee !== auditRole)),
      );
      return judge(
        auditTable,
        grants.length > 0 ? [{ object: auditTable, detail: describeGrants(grants) }] : [],
      );
    },
  },
  {
    id: 'AUD-004',
    name: 'owner-cannot-change-audit-rows',
    severity: 'high',
    title: 'The owner cannot change audit rows by mistake',
    inspects:
      'enabled triggers on llama.audit_trail that refuse UPDATE, DELETE and TRUNCATE, and TRUNCATE on each of its leaves; append_only of llama.partitioned_tables, which gives it to the leaves to come',
    why: 'Grants do not bind an owner: a careless migration could rewrite history without an error.',
    remedy:
      'Create the triggers append_only and append_only_truncate as migration 0008 does, or enable them.',
    source: 'migrations/0008_audit_trail.sql',
    run: ({ snapshot }) => {
      const model = modelOf(snapshot);
      const trail = model.named(auditTable);
      if (!trail) return skip(`${auditTable} does not exist`);
      const guardsOf = (table: Relation) =>
        model
          .triggersOf(table)
          .filter((trigger) => fires(trigger) && on(trigger, 'before'))
          .filter((trigger) => /\bRAISE\s+EXCEPTION\b/i.test(model.routine(trigger.function)?.source ?? ''));
      const guards = guardsOf(trail);
      const open = [
        ...(['update', 'delete'] as const).filter((part) => !guards.some((guard) => on(guard, part, 'row'))),
        ...(guards.some((guard) => on(guard, 'truncate')) ? [] : ['truncate']),
      ];
      const leaves = model.leavesOf(trail);
      const registered =
        'rows' in snapshot.registry && snapshot.registry.rows.find(({ name }) => name === trail.name);
      return judge(`${auditTable}, ${counted(leaves.length, 'leaf', 'leaves')}`, [
        ...(open.length > 0
          ? [{ object: auditTable, detail: `${open.join(', ')} by the owner is not refused` }]
          : []),
        ...(registered && !registered.appendOnly
          ? [
              {
                object: auditTable,
                detail: 'is registered as not append_only: truncate of its next leaves will not be refused',
              },
            ]
          : []),
        // Row triggers are cloned to leaves, statement triggers are not.
        ...leaves
          .filter((leaf) => !guardsOf(leaf).some((guard) => on(guard, 'truncate')))
          .map((leaf) => ({ object: nameOf(leaf), detail: 'truncate by the owner is not refused' })),
      ]);
    },
  },
  {
    id: 'AUD-005',
    name: 'audit-functions-run-as-audit-writer',
    severity: 'high',
    title: 'What writes the trail runs as the role that may do nothing else',
    inspects: `owner and SECURITY DEFINER of the trigger functions that write llama.audit_trail`,
    why: "As the caller's rights it could not write; as another owner's it could do more than write.",
    remedy: `ALTER FUNCTION … SECURITY DEFINER; ALTER FUNCTION … OWNER TO ${auditRole}.`,
    source: 'docs/decisions.md, 11a',
    run: ({ snapshot }) => {
      const functions = writers(snapshot);
      if (functions.length === 0) return skip('no trigger function writes llama.audit_trail');
      return judge(
        counted(functions.length, 'function'),
        functions.flatMap((routine): Finding[] => [
          ...(routine.securityDefiner
            ? []
            : [{ object: signatureOf(routine), detail: 'is not SECURITY DEFINER' }]),
          ...(routine.owner === auditRole
            ? []
            : [{ object: signatureOf(routine), detail: `belongs to ${routine.owner}` }]),
        ]),
      );
    },
  },
  {
    id: 'AUD-006',
    name: 'audit-writer-has-least-privilege',
    severity: 'high',
    title: 'The role that writes the trail may do nothing else',
    inspects: `every privilege and policy of ${auditRole}`,
    why: 'Its function runs in every write of every tenant: whatever else it may do, a fault in it may do.',
    remedy: `REVOKE what is named FROM ${auditRole}.`,
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
      const wild = [...new Set(held)].filter((privilege) => !allowed.has(privilege));
      return judge(
        counted(held.length, 'privilege'),
        wild.map((privilege) => ({ object: `role ${auditRole}`, detail: `also has ${privilege}` })),
      );
    },
  },
  {
    id: 'AUD-007',
    name: 'logins-keep-triggers-on',
    severity: 'critical',
    title: 'No login switches triggers off',
    inspects:
      'session_replication_role in the settings of roles and of the database, on the server, and who was given the right to set it, administrators excepted',
    why: "With 'replica' no ordinary trigger fires: neither the audit's nor those that keep the trail append-only.",
    remedy:
      'ALTER ROLE … RESET session_replication_role; REVOKE SET ON PARAMETER session_replication_role FROM the role; the server parameter must be origin.',
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
        if (parameter !== 'session_replication_role' || model.reach(grantee).has('azure_pg_admin')) continue;
        findings.push({ object: grantee === 'PUBLIC' ? grantee : `role ${grantee}`, detail: 'may set it' });
      }
      return judge('settings of roles, database and server, and grants on parameters', findings);
    },
  },
]);
