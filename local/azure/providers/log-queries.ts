/** Queries of a Log Analytics workspace: https://learn.microsoft.com/azure/azure-monitor/logs/api/request-format */
import { headInLine, headQuery, loginInLine } from '../../../azure/server-log.ts';
import { parseJson, textAt } from '../../../core/json.ts';
import { mayDo } from '../core/access.ts';
import type { Azure } from '../core/context.ts';
import { UnknownRequest } from '../core/http.ts';
import { notFound } from '../core/resource-types.ts';
import { authorization } from '../refusals/authorization.ts';
import { general } from '../refusals/general.ts';

const host = 'api.loganalytics.azure.com';
const action = 'Microsoft.OperationalInsights/workspaces/query/PGSQLServerLogs/read';

/** Answers the one query of the project, from the lines of real servers. It does not interpret Kusto's language. */
export function registerLogQueries(
  azure: Azure,
  serverLog: (server: string) => string | undefined = () => undefined,
): void {
  azure.router.on(
    'POST',
    '/v1/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.OperationalInsights/workspaces/{w}/query',
    ({ request }) => {
      const caller = azure.directory.callerOf(request, `https://${host}`);
      if (!caller) throw general.invalidAuthenticationToken();
      const workspace = azure.store.get(request.path.replace(/^\/v1|\/query$/gi, ''));
      if (!workspace) throw notFound(azure, request.path);
      if (!mayDo(azure, caller.objectId, 'actions', action, workspace.id))
        throw authorization.authorizationFailed(
          caller.appId ?? caller.objectId,
          caller.objectId,
          action,
          workspace.id,
        );
      const query = textAt(parseJson(request.body.toString('utf8')), 'query') ?? '';
      const [servers = [], logins = []] = [...query.matchAll(/ in~? \(([^)]*)\)/g)].map(([, list = '']) =>
        [...list.matchAll(/"([^"]*)"/g)].map(([, value = '']) => value),
      );
      if (query !== headQuery(servers, logins))
        throw new UnknownRequest(`this query is not known here: ${query}`);
      const rows = servers
        // PostgreSQL begins each further line of a message with a tab.
        .flatMap((server) => (serverLog(server) ?? '').split(/\n(?!\t)/))
        .flatMap((message) => {
          const login = new RegExp(loginInLine).exec(message)?.[1] ?? '';
          if (!logins.includes(login)) return [];
          const at = new Date(/^[-\d]+ [:\d]+ \w+/.exec(message)?.[0] ?? 0).toISOString();
          return message
            .split('\n')
            .flatMap((line) => new RegExp(headInLine).exec(line)?.[1] ?? [])
            .map((head) => [head, login, at]);
        });
      const columns = ['Head', 'Login', 'At'].map((name) => ({
        name,
        type: name === 'At' ? 'datetime' : 'string',
      }));
      return { status: 200, body: { tables: [{ name: 'PrimaryResult', columns, rows }] } };
    },
    { host },
  );
}
