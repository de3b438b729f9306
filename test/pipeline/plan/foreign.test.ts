// Duration: 30 s
/** Real plans of configurations as other projects have them: modules, count, for_each, outputs, other resources around. */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GuardReport, guard } from '../../../pipeline/plan/guard.ts';
import { renderComment } from '../../../pipeline/plan/report/markdown.ts';
import { renderText } from '../../../pipeline/plan/report/text.ts';
import { whyNoTerraform } from '../../../rehearsal/terraform/installation.ts';
import { now } from './documents.ts';
import { PlansTestbed } from './testbed.ts';

const missing = await whyNoTerraform();
const folder = path.join(import.meta.dirname, 'foreign');

const server = 'azurerm_postgresql_flexible_server';

/** By the beginning of an address: the impacts of its verdicts, worst first, each once. */
const expected: Readonly<Record<string, string>> = {
  'module.fleet["blue"]': 'restart',
  'module.fleet["green"]': '',
  'module.maps': 'online',
  'module.primary': 'refused-by-azure, restart, cost',
  'module.replica': 'restart, cost',
  'module.optional': 'data-loss',
  'module.late': 'restart',
  'module.public': 'security-weakened, online',
  'module.standby': 'recovery-weakened, cost, online',
  [`${server}.swapped`]: 'data-loss',
};

describe('a plan of another project', () => {
  let report: GuardReport | undefined;
  let testbed: PlansTestbed | undefined;
  beforeAll(async () => {
    if (missing !== undefined) return;
    testbed = await PlansTestbed.open([]);
    const stack = await testbed.stack('foreign', (directory) => cp(folder, directory, { recursive: true }));
    await testbed.done(stack.apply());
    await testbed.done(stack.plan(undefined, '-var=changed=true'));
    const { stdout } = await stack.run(['show', '-json', 'plan']);
    report = guard(stdout, { environment: 'shop', isProtected: true, waivers: [], now });
  }, 180_000);
  afterAll(() => testbed?.close());

  for (const [address, impacts] of Object.entries(expected))
    it(`${address}: ${impacts}`, ({ skip }) => {
      skip(missing !== undefined, missing);
      const found = report?.verdicts.filter((one) => one.address.startsWith(address)) ?? [];
      expect([...new Set(found.map(({ impact }) => impact))].join(', ')).toBe(impacts);
    });

  it('says once what it does not know, as a count', ({ skip }) => {
    skip(missing !== undefined, missing);
    expect(report?.others).toEqual({
      azurerm_container_registry: 1,
      azurerm_service_plan: 2,
      terraform_data: 4,
    });
    const text = renderText(report as GuardReport);
    expect(text).toContain('7 changes of 3 types outside the table');
    expect(text.match(/azurerm_service_plan/g)).toHaveLength(1);
  });

  it('shows no value that the other project calls sensitive', ({ skip }) => {
    skip(missing !== undefined, missing);
    for (const text of [renderText(report as GuardReport), renderComment(report as GuardReport)])
      expect(text).not.toMatch(/Standard_D/);
  });
});
