import { ConsumptionBudgetResourceGroup } from '@cdktf/provider-azurerm/lib/consumption-budget-resource-group/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';

export interface BudgetProps {
  readonly name: string;
  /** Azure resource id of the group whose cost is watched. */
  readonly resourceGroupId: string;
  /** A month, in the currency of the subscription. */
  readonly monthlyAmount: number;
  /**
   * First day of a month, RFC 3339. Azure refuses a month that is over when the budget is created; afterwards the
   * value is not compared any more.
   */
  readonly startDate: string;
  /** E-mail addresses. */
  readonly contacts: readonly string[];
  /**
   * Also tell an action group.
   * @default - contacts only
   */
  readonly actionGroupId?: string;
}

/**
 * A budget: it tells, it stops nothing. Told at 80 % and 100 % of what was spent, and as soon as the forecast for the
 * month goes past 100 %.
 */
export class Budget extends Construct {
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: BudgetProps) {
    super(scope, id);
    const told = {
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
      notification: [
        { ...told, threshold: 80, thresholdType: 'Actual' },
        { ...told, threshold: 100, thresholdType: 'Actual' },
        { ...told, threshold: 100, thresholdType: 'Forecasted' },
      ],
      // A new environment needs a later start than an old one had; moving it must not replace a running budget.
      lifecycle: { ignoreChanges: ['time_period'] },
    });
  }
}
