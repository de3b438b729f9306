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
    accept: (sent, { name, existing }) => {
      const start = textAt(sent, 'properties', 'timePeriod', 'startDate') ?? '';
      if (!/^\d{4}-\d{2}-01T/.test(start)) throw monitoring.budgetStartNotFirstOfMonth(start, name);
      if (!existing && !isNear(start, new Date(azure.clock.now())))
        throw monitoring.budgetStartOutOfRange(start, name);
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

/** Whether a first of a month is that of now or one of the twelve after it. */
function isNear(start: string, now: Date): boolean {
  const [year = 0, month = 0] = start.split('-').map(Number);
  const months = (year - now.getUTCFullYear()) * 12 + month - (now.getUTCMonth() + 1);
  return months >= 0 && months <= 12;
}

function tenYearsAfter(start: string): string {
  const end = new Date(start);
  end.setUTCFullYear(end.getUTCFullYear() + 10);
  return end.toISOString();
}
