/**
 * The losses that findings bring about. The severity of a check follows from its loss, so that nobody chooses it.
 *
 * A check is judged by its finding alone, with everything else as it should be. Findings with different losses belong to
 * different checks.
 */
import type { Severity } from '../core/severity.ts';

interface LossFacts {
  readonly severity: Severity;
  /** State after the finding, without a further fault. */
  readonly means: string;
}

export const losses = {
  isolation: {
    severity: 'critical',
    means: 'rows are open to a tenant or a role that must not read or change them',
  },
  control: {
    severity: 'critical',
    means: 'a role can become owner or administrator, or its code runs with their rights',
  },
  data: {
    severity: 'critical',
    means: 'rows, keys or encrypted values are gone, or go with the next crash, write or run of maintenance',
  },
  evidence: {
    severity: 'critical',
    means: 'changes can leave no trace, or traces can be rewritten',
  },
  secrets: {
    severity: 'critical',
    means: 'keys, credentials, or content that was promised encrypted or erased, are readable',
  },
  service: { severity: 'critical', means: 'the application cannot read or write now' },
  barrier: {
    severity: 'high',
    means: 'one of several barriers is missing: one more fault exposes or changes rows',
  },
  recovery: {
    severity: 'high',
    means: 'one more failure (crash, disk, zone, region, key) loses rows, or takes the service down for long',
  },
  availability: {
    severity: 'high',
    means:
      'the service, or a part of it, fails at a foreseeable event: a month, a peak, a restart, a deployment, a write',
  },
  traces: {
    severity: 'high',
    means: 'some events leave incomplete traces, or alert nobody',
  },
  promise: {
    severity: 'high',
    means: 'rows are kept, erased or encrypted otherwise than tenants were promised',
  },
  review: { severity: 'high', means: 'the database is not the one that was reviewed and tested' },
  correctness: { severity: 'high', means: 'statements succeed with wrong or missing rows' },
  time: { severity: 'medium', means: 'statements and maintenance take longer and cost more' },
  upkeep: { severity: 'medium', means: 'a later change, upgrade or investigation costs more work' },
  clarity: { severity: 'low', means: 'somebody who reads it is misled' },
} as const satisfies Readonly<Record<string, LossFacts>>;

export type Loss = keyof typeof losses;
