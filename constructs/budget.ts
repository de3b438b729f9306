import { ConsumptionBudgetResourceGroup } from '@cdktf/provider-azurerm/lib/consumption-budget-resource-group/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';

export interface BudgetProps {
  readonly name: string;
  /** Azure resource id of the group whose cost the budget watches. */
  readonly resourceGroupId: string;
  /** Amount per month, in the currency of the subscription. */
  readonly monthlyAmount: number;
  /**
   * First day of a month, RFC 3339. Azure refuses a past month when the budget is created. Later changes of the value
   * are ignored.
   */
  readonly startDate: string;
  /** E-mail addresses. */
  readonly contacts: readonly string[];
  /**
   * Notify an action group as well.
   * @default - contacts only
   */
  readonly actionGroupId?: string;
}

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
      timePeriod: { startDate: props.startDate },
      notification: thresholds.map((threshold) => ({ ...notification, ...threshold })),
      // A new environment needs a later start than an old one had. A changed start must not replace a running budget.
      lifecycle: { ignoreChanges: ['time_period'] },
    });
  }
}
