import { ConsumptionBudgetResourceGroup } from '@cdktf/provider-azurerm/lib/consumption-budget-resource-group/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { expression } from './expression.ts';

export interface BudgetProps {
  readonly name: string;
  /** Azure resource id of the group whose cost the budget watches. */
  readonly resourceGroupId: string;
  /** Amount per month, in the currency of the subscription. */
  readonly monthlyAmount: number;
  /** E-mail addresses. */
  readonly contacts: readonly string[];
  /**
   * Notify an action group as well.
   * @default - contacts only
   */
  readonly actionGroupId?: string;
}

/**
 * The first of the month in which Terraform plans the budget. Azure refuses a new budget that starts in an earlier month
 * or more than a year ahead, so that a date in a file would be valid for a year at most.
 * https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update
 */
const thisMonth = expression("formatdate(\"YYYY-MM-01'T'00:00:00'Z'\", plantimestamp())");

/** Notifications in percent of the amount. */
const thresholds = [
  { threshold: 80, thresholdType: 'Actual' },
  { threshold: 100, thresholdType: 'Actual' },
  { threshold: 100, thresholdType: 'Forecasted' },
] as const;

/**
 * A budget. It notifies at 80 % and 100 % of the actual cost, and as soon as the forecast for the month exceeds 100 %. It
 * stops nothing.
 */
export class Budget extends Construct {
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: BudgetProps) {
    super(scope, id);
    const notification = {
      operator: 'GreaterThanOrEqualTo',
      contactEmails: [...props.contacts],
      ...(props.actionGroupId === undefined ? {} : { contactGroups: [props.actionGroupId] }),
    };
    this.resource = new ConsumptionBudgetResourceGroup(this, 'Default', {
      name: props.name,
      resourceGroupId: props.resourceGroupId,
      amount: props.monthlyAmount,
      timeGrain: 'Monthly',
      timePeriod: { startDate: thisMonth },
      notification: thresholds.map((threshold) => ({ ...notification, ...threshold })),
      // The month is that of the creation: another start would replace the budget.
      lifecycle: { ignoreChanges: ['time_period'] },
    });
  }
}
