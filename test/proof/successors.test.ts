/** Scenarios with other packages and another azurerm; the whole run is `npm run prove -- successors`. */
import { expect, it } from 'vitest';
import { azurermVersion } from '../../azure/provider.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { includesLong, takesMinutes } from '../support/extent.ts';
import { Disproved } from './proof.ts';
import { proveSuccessors } from './successors.ts';

const missing = await whyNoTerraform();

it('does not hold if no scenario runs', { timeout: 120_000 }, async () => {
  const notInstalled = { azurerm: '4.0.0', packages: 'archived', scenarios: 'state-locked' } as const;
  await expect(proveSuccessors({ ...notInstalled, log: () => {} })).rejects.toThrow(
    new Disproved('no scenario ran with azurerm 4.0.0 and the archived packages: is it installed?'),
  );
});

it('deploys with the packages that replace the archived ones', { timeout: 900_000 }, async ({ skip }) => {
  skip(missing !== undefined, missing);
  skip(!includesLong, takesMinutes);
  const { summary } = await proveSuccessors({
    azurerm: azurermVersion,
    packages: 'maintained',
    scenarios: 'second-deploy-changes-nothing',
    log: () => {},
  });
  expect(summary).toMatch(/^[1-9]\d* scenarios? passed/);
});
