/** The list of erasures outside the database. A restore brings back what was erased since, and the list erases it again. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { Fault } from '../../core/fault.ts';

/** Environment variable that names the file of erasures, one JSON object per line. */
export const erasuresVariable = 'LLAMA_DB_ERASURES';

export interface KeptErasure {
  readonly tenant: string;
  /** `tenant`: rows, keys and audit content; `keys`: data keys only. */
  readonly scope: 'tenant' | 'keys';
}

/** Adds an erasure to the file, if the variable names one. */
export function keepErasure(env: NodeJS.ProcessEnv, tenant: string, scope: KeptErasure['scope']): void {
  const file = env[erasuresVariable];
  if (file) appendFileSync(file, `${JSON.stringify({ tenant, scope, at: new Date().toISOString() })}\n`);
}

/**
 * Reads such a file. A tenant that appears several times is listed once, with the wider scope.
 *
 * @throws Fault (exit 2) if the file does not exist or a line is anything else
 */
export function keptErasures(file: string): readonly KeptErasure[] {
  const malformed = (why: string) =>
    new Fault(
      'erasure/list-unreadable',
      `The list of erasures ${file} cannot be used`,
      why,
      `Give the file that ${erasuresVariable} named. Each line is {"tenant": "…", "scope": "tenant" or "keys"}.`,
      { exitCode: 2 },
    );
  if (!existsSync(file)) throw malformed('it does not exist');
  const found = new Map<string, KeptErasure['scope']>();
  for (const [place, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (line.trim() === '') continue;
    const { tenant, scope } = parsed(line);
    if (typeof tenant !== 'string' || tenant === '' || (scope !== 'tenant' && scope !== 'keys')) {
      throw malformed(`line ${place + 1} names no tenant and scope`);
    }
    if (found.get(tenant) !== 'tenant') found.set(tenant, scope);
  }
  return [...found].map(([tenant, scope]) => ({ tenant, scope }));
}

function parsed(line: string): { readonly tenant?: unknown; readonly scope?: unknown } {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}
