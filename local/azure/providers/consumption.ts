/** Microsoft.Consumption: budgets. https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update */
import { randomBytes } from 'node:crypto';
import { objectAt, textAt } from '../../../core/json.ts';
import type { Azure } from '../core/context.ts';
import { registerResourceType } from '../core/resource-types.ts';
import { budgetShape } from '../core/shapes.ts';
import { monitoring } from '../refusals/monitoring.ts';

export function registerConsumption(azure: Azure): void {
  registerResourceType(azure, {
    type: 'Microsoft.Consumption/budgets',
    shape: budgetShape,
    scope: 'anywhere',
    change: 'immediate',
    accept: (sent, { name }) => {
      const start = textAt(sent, 'properties', 'timePeriod', 'startDate') ?? '';
      if (!/^\d{4}-\d{2}-01T/.test(start)) throw monitoring.budgetStartNotFirstOfMonth(start, name);
      const end = textAt(sent, 'properties', 'timePeriod', 'endDate');
      const properties = objectAt(sent, 'properties');
      return {
        eTag: `"${randomBytes(8).toString('hex')}"`,
        properties: {
          ...properties,
          timePeriod: { startDate: start, endDate: end ?? tenYearsAfter(start) },
          currentSpend: { amount: 0, unit: 'USD' },
        },
      };
    },
  });
}

function tenYearsAfter(start: string): string {
  const end = new Date(start);
  end.setUTCFullYear(end.getUTCFullYear() + 10);
  return end.toISOString();
}
