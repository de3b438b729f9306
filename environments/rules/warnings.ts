/** Settings that are allowed and deserve attention, because they put tenants' data where others can read it. */
import { defineRules, type Rule, type RuleText } from '../rule.ts';

const logging = 'https://www.postgresql.org/docs/17/runtime-config-logging.html';

/** A warning for the values of a parameter that write statements' data somewhere. */
function leakingParameter(name: string, leaks: (value: unknown) => boolean, text: RuleText): Rule {
  return {
    ...text,
    check: ({ server, replica }) =>
      Object.entries({ server: server.parameters, replica: replica?.parameters ?? {} }).flatMap(
        ([at, { [name]: value }]) =>
          value !== undefined && leaks(value) ? [{ field: `${at}.parameters.${name}`, value }] : [],
      ),
  };
}

const notZero = (value: unknown) => Number(value) !== 0;

/** Shown with a synthesis. They never stop it. */
export const warningRules = defineRules({
  'warnings/log-statement': leakingParameter('log_statement', (value) => value !== 'none', {
    rule: "the log records the text of every such statement: a password of ALTER ROLE, with mod and all the tenants' data",
    source: `${logging}#GUC-LOG-STATEMENT`,
  }),

  'warnings/log-parameters': leakingParameter('log_parameter_max_length', notZero, {
    rule: "the log records the parameters of logged statements, which are the tenants' data",
    source: `${logging}#GUC-LOG-PARAMETER-MAX-LENGTH`,
  }),

  'warnings/log-parameters-on-error': leakingParameter('log_parameter_max_length_on_error', notZero, {
    rule: "the log records the parameters of failed statements, which are the tenants' data",
    source: `${logging}#GUC-LOG-PARAMETER-MAX-LENGTH-ON-ERROR`,
  }),

  'warnings/audit-parameters': leakingParameter(
    'pgaudit.log_parameter',
    (value) => value === true || value === 'on',
    {
      rule: "the log records the parameters of audited statements, which are the tenants' data",
      source: 'https://github.com/pgaudit/pgaudit#pgauditlog_parameter',
    },
  ),

  'warnings/query-store-parameters': leakingParameter(
    'pg_qs.parameters_capture_mode',
    (value) => value === 'capture_first_sample',
    {
      rule: 'the query store keeps parameters, and every login may read it',
      source: 'https://learn.microsoft.com/azure/postgresql/monitor/concepts-query-store',
    },
  ),
});
