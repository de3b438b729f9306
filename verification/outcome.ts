import type { Finding, Outcome } from './check.ts';
import type { Snapshot } from './snapshot/snapshot.ts';
import type { Unreadable } from './snapshot/source.ts';

export { counted } from '../core/text.ts';

/** Passed if there are no findings. */
export function judge(inspected: string, findings: readonly Finding[]): Outcome {
  return findings.length === 0 ? { status: 'passed', inspected } : { status: 'failed', inspected, findings };
}

/** The facts do not exist here, so there is nothing to judge: no deployment, not Azure's server, no standby. */
export function skip(reason: string): Outcome {
  return { status: 'skipped', reason };
}

/** The facts exist, and this login or identity could not read them. No run that contains this is clean. */
export function blind(reason: string): Outcome {
  return { status: 'skipped', reason, blind: true };
}

/** The outcome for facts that were not read. */
export function unread({ unreadable, absent }: Unreadable, what?: string): Outcome {
  return (absent ? skip : blind)(what === undefined ? unreadable : `${what}: ${unreadable}`);
}

/** Settings that only members of pg_read_all_settings see, on every server. */
export function hiddenSettings({ settings }: Snapshot): Outcome | undefined {
  return settings.has('shared_preload_libraries')
    ? undefined
    : blind('the login may not read the parameters that only members of pg_read_all_settings see');
}

/** One finding that lists what is wrong with an object: `reaches pg_monitor`. None for an empty list. */
export function listed(object: string, verb: string, items: readonly string[]): readonly Finding[] {
  return items.length > 0 ? [{ object, detail: `${verb} ${items.join(', ')}` }] : [];
}
