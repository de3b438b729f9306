/**
 * The output of an execution.
 *
 * It is read from Log Analytics, through the resource manager, in the scope of the environment of the job. The log stream is
 * faster, but it ends with the replica: the output of a step that has failed in its first seconds would be lost. A line
 * arrives within minutes (https://learn.microsoft.com/azure/azure-monitor/logs/data-ingestion-time).
 */
import { at } from '../../core/json.ts';
import type { Answer, Ask } from './manager.ts';

export interface ConsoleLine {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** For a person too. @param execution name of an execution, which begins the names of its replicas */
export function consoleQuery(execution: string): string {
  return `ContainerAppConsoleLogs | where ContainerGroupName startswith "${execution}" | order by TimeGenerated asc | project TimeGenerated, Stream, Log`;
}

export type Console = { readonly lines: readonly ConsoleLine[] } | { readonly unreadable: string };

export async function readConsole(ask: Ask, environmentId: string, execution: string): Promise<Console> {
  const answer = await ask('GET', `${environmentId}/providers/Microsoft.Insights/logs`, {
    query: { query: consoleQuery(execution), timespan: 'P2D' },
  });
  // A workspace has no table before its first row.
  if (answer.status === 400) return { lines: [] };
  return answer.status === 200 ? { lines: linesOf(answer) } : { unreadable: answer.reason };
}

function linesOf({ body }: Answer): ConsoleLine[] {
  const rows = at(body, 'tables', 0, 'rows');
  return (Array.isArray(rows) ? rows : []).map((row) => ({
    stream: at(row, 1) === 'stderr' ? 'stderr' : 'stdout',
    text: String(at(row, 2) ?? '').replace(/\r?\n$/, ''),
  }));
}
