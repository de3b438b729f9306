/** Settings that are allowed and that somebody should be told about: what they put where others can read it. */
import type { Problem } from './problems.ts';
import { check, type Finding, type Rule } from './rules/rule.ts';
import type { EnvironmentSettings } from './settings.ts';

const logging = 'https://www.postgresql.org/docs/17/runtime-config-logging.html';

/** Parameters that write what statements carry, by the values that do. */
const leaks: readonly { name: string; leaks: (value: unknown) => boolean; what: string; source: string }[] = [
  {
    name: 'log_statement',
    leaks: (value) => value === 'all' || value === 'mod',
    what: 'the text of every such statement, with the tenants’ data written into it, goes to the log',
    source: `${logging}#GUC-LOG-STATEMENT`,
  },
  {
    name: 'log_parameter_max_length',
    leaks: (value) => Number(value) !== 0,
    what: 'the parameters of logged statements, which are the tenants’ data, go to the log',
    source: `${logging}#GUC-LOG-PARAMETER-MAX-LENGTH`,
  },
  {
    name: 'log_parameter_max_length_on_error',
    leaks: (value) => Number(value) !== 0,
    what: 'the parameters of failed statements, which are the tenants’ data, go to the log',
    source: `${logging}#GUC-LOG-PARAMETER-MAX-LENGTH-ON-ERROR`,
  },
  {
    name: 'pgaudit.log_parameter',
    leaks: (value) => value === true || value === 'on',
    what: 'the parameters of audited statements, which are the tenants’ data, go to the log',
    source: 'https://github.com/pgaudit/pgaudit#pgauditlog_parameter',
  },
  {
    name: 'pg_qs.parameters_capture_mode',
    leaks: (value) => value === 'capture_first_sample',
    what: 'parameters are kept in the query store, which every login may read',
    source: 'https://learn.microsoft.com/azure/postgresql/monitor/concepts-query-store',
  },
];

const leakingParameters: Rule = ({ server, replica }) =>
  (
    [
      ['server.parameters', server.parameters],
      ['replica.parameters', replica?.parameters ?? {}],
    ] as const
  ).flatMap(([field, parameters]) =>
    leaks.flatMap(({ name, leaks: leaking, what, source }): readonly Finding[] => {
      const value = parameters[name];
      return check(value === undefined || !leaking(value), `${field}.${name}`, value, { rule: what, source });
    }),
  );

/** What one environment's settings do that nothing forbids. Shown, never a reason to stop. */
export function warnings(settings: EnvironmentSettings): Problem[] {
  return leakingParameters(settings).map((found) => ({ environment: settings.name, ...found }));
}
