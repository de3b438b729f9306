/**
 * The shape of `terraform show -json` of a plan: format 1.2 of Terraform 1.11 to 1.16. Keys were added without another
 * version, so a key that is not here is refused.
 * https://developer.hashicorp.com/terraform/internals/json-format, and internal/command/jsonplan of v1.11.4 to v1.16.0-rc2
 */
import { z } from 'zod';

/** Keys of the document that the guard reads, or knows to say nothing about a change. */
export const knownKeys: readonly string[] = [
  'format_version',
  'terraform_version',
  'variables',
  'planned_values',
  'resource_drift',
  'resource_changes',
  'deferred_changes',
  'output_changes',
  'prior_state',
  'configuration',
  'relevant_attributes',
  'checks',
  'timestamp',
  'applyable',
  'complete',
  'errored',
];

/** Keys of later versions whose content the guard does not judge: refused unless they are empty. */
export const unjudgedKeys: readonly string[] = ['action_invocations', 'deferred_action_invocations'];

/** Keys of one change in a resource, up to Terraform 1.16. */
export const changeKeys: readonly string[] = [
  'actions',
  'before',
  'after',
  'after_unknown',
  'before_sensitive',
  'after_sensitive',
  'replace_paths',
  'importing',
  'generated_config',
  'before_identity',
  'after_identity',
];

/** Keys of one resource. */
export const resourceKeys: readonly string[] = [
  'address',
  'previous_address',
  'module_address',
  'mode',
  'type',
  'name',
  'index',
  'index_unknown',
  'provider_name',
  'deposed',
  'change',
  'action_reason',
];

const json = z.unknown();
const values = z.record(z.string(), json).nullish();

const change = z.looseObject({
  actions: z.array(z.string()).min(1).max(2),
  before: values,
  after: values,
  after_unknown: z.union([z.boolean(), z.record(z.string(), json)]).nullish(),
  before_sensitive: json,
  after_sensitive: json,
  replace_paths: z.array(z.array(z.union([z.string(), z.number()]))).optional(),
  importing: z.looseObject({}).optional(),
});

const resource = z.looseObject({
  address: z.string().min(1),
  previous_address: z.string().optional(),
  mode: z.enum(['managed', 'data']),
  type: z.string().min(1),
  name: z.string().min(1),
  index_unknown: z.boolean().optional(),
  provider_name: z.string().min(1),
  deposed: z.string().optional(),
  action_reason: z.string().optional(),
  change,
});

const output = z.looseObject({ actions: z.array(z.string()).min(1).max(2) });

export const planShape = z.looseObject({
  format_version: z.string(),
  terraform_version: z.string(),
  applyable: z.boolean(),
  complete: z.boolean(),
  errored: z.boolean(),
  resource_changes: z.array(resource).optional(),
  resource_drift: z.array(resource).optional(),
  deferred_changes: z.array(json).optional(),
  output_changes: z.record(z.string(), output).optional(),
  checks: z
    .array(
      z.looseObject({
        status: z.string(),
        address: z.looseObject({ to_display: z.string(), kind: z.string().optional() }),
        instances: z
          .array(
            z.looseObject({
              status: z.string(),
              problems: z.array(z.looseObject({ message: z.string().optional() })).optional(),
            }),
          )
          .optional(),
      }),
    )
    .optional(),
  planned_values: z.looseObject({}).optional(),
  prior_state: z.looseObject({}).optional(),
  configuration: z.looseObject({}).optional(),
});

export type PlanDocument = z.infer<typeof planShape>;
export type ResourceDocument = z.infer<typeof resource>;
