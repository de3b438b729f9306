/** Lines of the server log in a Log Analytics workspace, and queries about them in Kusto's language. */

/**
 * The login in a line, by `log_line_prefix` of the environments: `%t-%c-user=%u,db=%d,...`. Only the server writes what
 * stands before it, so that an application name cannot imitate another login. Further lines of a message begin with a tab, so
 * that they imitate none either. RE2 and JavaScript share the syntax.
 */
export const loginInLine = '^[0-9][^=]*-user=(.*?),db=';

/** The head of the audit trail in a line that `logHead` wrote: `LOG:  llama-db audit head 4711:9f86…`. */
export const headMarker = 'llama-db audit head';
export const headInLine = `LOG: +${headMarker} ([0-9]+:[0-9a-f]{64})$`;

/** Values as a list of strings: `"a", "b"`. */
export const kustoList = (values: readonly string[]): string =>
  values.map((value) => JSON.stringify(value)).join(', ');

/**
 * The heads that some logins wrote into the logs of some servers: one row per head, with columns Head, At and Login.
 *
 * Any login can write such a line, so only those of the given logins count.
 */
export function headQuery(servers: readonly string[], logins: readonly string[]): string {
  return [
    'PGSQLServerLogs',
    `| where LogicalServerName in~ (${kustoList(servers)})`,
    `| where Message contains ${JSON.stringify(headMarker)}`,
    '| mv-expand Line = split(Message, "\\n") to typeof(string)',
    `| extend Head = extract(${JSON.stringify(headInLine)}, 1, Line), Login = extract(${JSON.stringify(loginInLine)}, 1, Message)`,
    `| where Head != "" and Login in (${kustoList(logins)})`,
    '| summarize At = min(TimeGenerated) by Head, Login',
  ].join('\n');
}
