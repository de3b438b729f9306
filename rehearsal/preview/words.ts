/** Sentences that all reports of a preview share. */
import { counted, duration } from '../../core/text.ts';
import type { ClientReport } from './client.ts';
import type { MigrationReport, Preview, ServerReport } from './result.ts';

/** Holds for every figure of a preview. */
export const fidelity =
  "Times are those of this machine, and Azure's differ. Counts, order, locks and refusals do not.";

export function headline(preview: Preview): string {
  const { environment, base, outcome, refusal, clients } = preview;
  const change = `${environment}: the change since ${base.ref}`;
  if (refusal && refusal.phase !== 'apply') return `${change} is refused before anything changes.`;
  if (refusal)
    return `${change} fails in the ${refusal.phase}, after ${counted(refusal.changes, 'change')} in Azure.`;
  if (outcome === 'unchanged') return `${change} changes nothing.`;
  const interrupted = clients.reduce((sum, { outages }) => sum + outages.length, 0);
  const words =
    interrupted === 0 ? 'clients were not interrupted' : `clients were interrupted ${times(interrupted)}`;
  return `${change} deploys, and ${words}.`;
}

export const times = (count: number) => (count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`);

/** `restarted once, 1 failover`. */
export function serverWords({ restarts, failovers, others }: ServerReport): string {
  const words: Readonly<Record<string, string>> = {
    created: 'created',
    deleted: 'deleted with its databases',
    stopped: 'stopped',
    started: 'started',
    promoted: 'promoted',
    databaseDeleted: 'lost a database',
    administratorRemoved: 'lost an administrator',
  };
  return [
    ...(restarts > 0 ? [`restarted ${times(restarts)}`] : []),
    ...(failovers > 0 ? [`failed over ${times(failovers)}`] : []),
    ...others.map((kind) => words[kind] ?? kind),
  ].join(', ');
}

/** One line about a client, and one per kind of refusal. */
export function clientLines({ outages, refused, connecting, statements, waits }: ClientReport): string[] {
  const list = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([kind, count]) => `${kind} × ${count}`);
  const longest = Math.max(0, ...waits.map(({ startedAt, endedAt }) => endedAt - startedAt));
  const spans = outages.map(
    ({ startedAt, endedAt, kind, isOver }) =>
      `${duration(endedAt - startedAt)} by ${kind}${isOver ? '' : ', until the end'}`,
  );
  return [
    `${counted(statements, 'statement')} succeeded; interrupted ${outages.length === 0 ? 'never' : `${times(outages.length)} (${spans.join('; ')})`}`,
    ...(Object.keys(refused).length > 0 ? [`refused statements: ${list(refused).join(', ')}`] : []),
    ...(Object.keys(connecting).length > 0
      ? [`refused connections, one attempt each 50 ms: ${list(connecting).join(', ')}`]
      : []),
    ...(waits.length > 0
      ? [`${counted(waits.length, 'statement')} waited, the longest for ${duration(longest)}`]
      : []),
  ];
}

/** `ACCESS EXCLUSIVE on llama.storage_records for 1.2 s, 2 sessions waited`. */
export function lockWords({
  on,
  isInPartitions,
  mode,
  milliseconds,
  waiting,
}: MigrationReport['locks'][number]): string {
  const held = milliseconds < 5 ? 'for less than 5 ms' : `for ${duration(milliseconds)}`;
  return `${mode} on ${isInPartitions ? 'partitions of ' : ''}${on} ${held}${waiting === 0 ? '' : `, ${counted(waiting, 'session')} waited`}`;
}

export function migrationWords({ isApplied, milliseconds }: MigrationReport): string {
  return isApplied ? `applied in ${duration(milliseconds ?? 0)}` : 'not applied';
}

/** The second plan and the verification. */
export function afterwards({ secondPlan, verification, quick }: Preview): string[] {
  if (secondPlan === undefined || verification === undefined) return [];
  const { appeared, resolved, remaining, why } = verification;
  const found = Object.entries(appeared).map(([id, text]) => `llama-db verify finds ${id}: ${text}`);
  const local = `${remaining.length} as before${quick ? ', such as the alerts that a preview leaves out' : ''}`;
  return [
    secondPlan.length === 0
      ? 'The second plan is empty.'
      : `The second plan is not empty: ${secondPlan.join(', ')}.`,
    ...(why === undefined
      ? found.length > 0
        ? found
        : [`llama-db verify finds nothing new${remaining.length > 0 ? ` (findings: ${local})` : ''}.`]
      : [`llama-db verify did not check the deployment: ${why}`]),
    ...(resolved.length > 0 ? [`Resolved: ${resolved.join(', ')}.`] : []),
  ];
}
