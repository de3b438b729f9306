/** Reasons to refuse a plan of a protected environment, unless a waiver covers the change. */
import type { Severity } from '../../core/severity.ts';
import type { Verdict } from './judge.ts';

export interface RefusalRule {
  readonly id: string;
  readonly severity: Severity;
  /** The assertion that a plan violates. */
  readonly title: string;
  readonly why: string;
  readonly remedy: string;
  refuses(verdict: Verdict): boolean;
}

const of =
  (impact: Verdict['impact']) =>
  (verdict: Verdict): boolean =>
    verdict.impact === impact && verdict.when === undefined;

export const refusalRules: readonly RefusalRule[] = [
  {
    id: 'GRD-001',
    severity: 'critical',
    title: 'No change loses data',
    why: 'A destroyed server takes its backups with it, and an apply asks nobody again.',
    remedy: 'Change the setting back, or write the loss down as a waiver.',
    refuses: of('data-loss'),
  },
  {
    id: 'GRD-002',
    severity: 'high',
    title: 'No change weakens security or audit',
    why: 'An auditor compares controls before and after, and asks who accepted the difference.',
    remedy: 'Change the setting back, or write the reason down as a waiver.',
    refuses: of('security-weakened'),
  },
  {
    id: 'GRD-003',
    severity: 'high',
    title: 'No change weakens recovery',
    why: 'The loss shows only at the next failure, when it cannot be repaired.',
    remedy: 'Change the setting back, or write the reason down as a waiver.',
    refuses: of('recovery-weakened'),
  },
  {
    id: 'GRD-004',
    severity: 'high',
    title: 'Azure refuses no change of the plan',
    why: 'Azure refuses it in the middle of the apply, after other changes were made.',
    remedy: 'Make the change in the steps of docs/journeys.md.',
    refuses: of('refused-by-azure'),
  },
  {
    id: 'GRD-005',
    severity: 'medium',
    title: 'The guard knows the effect of each change',
    why: 'No page of Azure and no code of the provider says what the change does to a running server.',
    remedy: 'Rehearse the change, and write the result down as a waiver.',
    refuses: of('unknown'),
  },
];

/** The rule that refuses a verdict; undefined if none does. */
export function refusalOf(verdict: Verdict): RefusalRule | undefined {
  return refusalRules.find((rule) => rule.refuses(verdict));
}
