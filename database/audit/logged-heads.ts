/** Heads of the audit trail in the server log, which Azure's diagnostics copy out of the reach of the database's owner. */
import { headMarker, headQuery } from '../../azure/server-log.ts';
import { isObject, parseJson, textAt, textsAt } from '../../core/json.ts';
import { type AzureAccess, azureReason, parseResourceId, signedIn } from '../azure-access.ts';
import type { Connection } from '../connection.ts';
import type { Deployment } from '../deployment.ts';
import { afterRestores, type RecordedHead, statedRestores } from './heads.ts';
import { parseHead } from './seals.ts';

/** https://learn.microsoft.com/azure/azure-monitor/logs/api/request-format */
const endpoint = 'https://api.loganalytics.azure.com';

/** Longer than any retention of an environment's workspace that costs nothing more. */
const period = 'P730D';

const timeoutSeconds = 30;

/** The heads, or the reason why they were not read; `absent` if no workspace has them. */
export type LoggedHeads =
  | { readonly value: readonly RecordedHead[] }
  | { readonly unreadable: string; readonly absent?: true };

/**
 * Writes a head that is committed into the server log. A head that could be rolled back must not be logged, because it would
 * later be missing in the chain.
 */
export async function logHead({ client }: Pick<Connection, 'client'>, head: string): Promise<void> {
  await client.query(`DO $$ BEGIN RAISE LOG '${headMarker} %', '${head}'; END $$`);
}

/** Logins that seal or deploy, and so log heads. A line of any other login is forged, or a mistake. */
function loginsOf({ administrator, passwordAdministrator, azure, logins }: Deployment): readonly string[] {
  return [
    ...new Set([
      administrator,
      ...(passwordAdministrator ? [passwordAdministrator] : []),
      ...(azure?.administrators ?? []).map(({ name }) => name),
      ...logins.filter(({ role }) => role === 'maintenance_role').map(({ name }) => name),
    ]),
  ];
}

/**
 * Reads the logged heads of a deployment's servers from its workspace, as the identity that is signed in, with the restores
 * that the file of heads states.
 *
 * @throws Fault (exit 2) as statedRestores does
 */
export async function readLoggedHeads(
  deployment: Deployment | undefined,
  access?: AzureAccess,
  env: NodeJS.ProcessEnv = process.env,
): Promise<LoggedHeads> {
  const restores = statedRestores(env);
  const workspace = deployment?.surroundings?.workspaceId;
  if (!deployment || !workspace)
    return { unreadable: 'the settings have no workspace for logs', absent: true };
  const servers = [deployment.primary, deployment.replica].flatMap(
    (server) => parseResourceId(server?.id)?.name ?? [],
  );
  try {
    const heads = await ask(
      workspace,
      headQuery(servers, loginsOf(deployment)),
      access ?? (await signedIn()),
    );
    return 'value' in heads ? { value: afterRestores(heads.value, restores) } : heads;
  } catch (error) {
    return { unreadable: `the workspace of logs did not answer: ${azureReason(error)}` };
  }
}

async function ask(
  workspace: string,
  query: string,
  { credential, options }: AzureAccess,
): Promise<LoggedHeads> {
  const abortSignal = AbortSignal.timeout(timeoutSeconds * 1000);
  const token = await credential.getToken(`${endpoint}/.default`, { abortSignal });
  if (!token) return { unreadable: 'nobody is signed in to Azure here' };
  const rest = await import('@azure/core-rest-pipeline');
  const client = options?.httpClient ?? rest.createDefaultHttpClient();
  const { status, bodyAsText } = await rest.createPipelineFromOptions({}).sendRequest(
    client,
    rest.createPipelineRequest({
      url: `${endpoint}/v1${workspace.replace(/\/+$/, '')}/query`,
      method: 'POST',
      headers: rest.createHttpHeaders({
        authorization: `Bearer ${token.token}`,
        'content-type': 'application/json',
      }),
      body: JSON.stringify({ query, timespan: period }),
      abortSignal,
    }),
  );
  const body = parseJson(bodyAsText ?? '');
  if (status === 200 && isObject(body)) return { value: rowsOf(body).flatMap(headOf) };
  const code = textAt(body, 'error', 'code') ?? 'no code';
  // Azure makes the table with the first line, and a query of an unknown table is a semantic error.
  if (status === 400 && /PGSQLServerLogs/.test(bodyAsText ?? ''))
    return { unreadable: 'the workspace has no line of a server log yet', absent: true };
  return { unreadable: `the workspace of logs refused the query: ${code} (HTTP ${status})` };
}

/** Rows of the first table, by the names of its columns. */
function rowsOf(
  body: NonNullable<ReturnType<typeof parseJson>>,
): readonly Readonly<Record<string, string>>[] {
  const table = isObject(body) && Array.isArray(body['tables']) ? body['tables'][0] : undefined;
  if (!isObject(table)) return [];
  const names = Array.isArray(table['columns'])
    ? table['columns'].map((column) => textAt(column, 'name') ?? '')
    : [];
  const rows = Array.isArray(table['rows']) ? table['rows'] : [];
  return rows.map((row) => {
    const values = textsAt({ row }, 'row');
    return Object.fromEntries(names.map((name, place) => [name, values[place] ?? '']));
  });
}

function headOf({
  Head = '',
  At = '',
  Login = '',
}: Readonly<Record<string, string>>): readonly RecordedHead[] {
  if (!/^[1-9]\d{0,15}:[0-9a-f]{64}$/.test(Head)) return [];
  return [{ ...parseHead(Head), origin: `the server log (${Login}, ${At})`, at: new Date(At) }];
}
