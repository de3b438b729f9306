import type { RuleId } from '../../../environments/problems.ts';

/** Parameters of production that are allowed and cause a warning. */
export interface WarningRow {
  readonly what: string;
  readonly id: RuleId;
  readonly parameter: string;
  readonly value: unknown;
}

export const warningRows: readonly WarningRow[] = (
  [
    ['warnings/log-statement', 'log_statement', 'all'],
    ['warnings/log-statement', 'log_statement', 'mod'],
    ['warnings/log-statement', 'log_statement', 'ddl'],
    ['warnings/log-parameters', 'log_parameter_max_length', -1],
    ['warnings/log-parameters-on-error', 'log_parameter_max_length_on_error', 100],
    ['warnings/audit-parameters', 'pgaudit.log_parameter', true],
    ['warnings/query-store-parameters', 'pg_qs.parameters_capture_mode', 'capture_first_sample'],
  ] as const
).map(([id, parameter, value]) => ({ what: `${parameter} = ${value}`, id, parameter, value }));
