/**
 * The local Azure refuses what Azure refuses. The tests of all providers run in this one file, so that its last test can
 * ask whether each refusal of the catalogue was met.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Refusal } from '../../../local/azure/core/refusal.ts';
import { refusalAreas, refusalNames } from '../../../local/azure/refusals/index.ts';
import { provoked, useLocalAzure } from '../../support/azure-fixture.ts';
import './refusals/server.ts';
import './refusals/parameters.ts';
import './refusals/replica.ts';
import './refusals/surroundings.ts';
import './refusals/roles.ts';
import './refusals/throttled.ts';
import './refusals/key-vault-data.ts';

import { containerAppRows } from './refusals/rows-container-apps.ts';
import { dataRows } from './refusals/rows-data.ts';
import { managerRows } from './refusals/rows-manager.ts';
import { monitoringRows } from './refusals/rows-monitoring.ts';
import { networkRows } from './refusals/rows-network.ts';
import { serverRows } from './refusals/rows-server.ts';

const rows = {
  ...managerRows,
  ...serverRows,
  ...networkRows,
  ...containerAppRows,
  ...monitoringRows,
  ...dataRows,
};
const definitions: ReadonlyMap<string, Refusal> = new Map(
  refusalAreas.flatMap(({ title, rows: all }) =>
    Object.entries(all).map(([name, row]): [string, Refusal] => [`${title}: ${name}`, row]),
  ),
);

describe('a refused request', () => {
  const local = useLocalAzure({ containers: ['states/production'], takenNames: ['vault/taken'] });

  it.each(Object.entries(rows))('%s', async (name, provoke) => {
    const answer = await provoke(local);
    expect(local.azure.refusals.at(-1)).toBe(name);
    expect(local.azure.unknown).toEqual([]);
    if (answer === undefined) return;
    const row = definitions.get(name);
    // An operation that fails later is reported by its status document.
    if (answer.body.status === 'Failed') expect(answer.body.error.code).toBe(row?.code);
    else {
      expect(answer.status).toBe(row?.status);
      expect(answer.text).toContain(row?.code);
    }
  });
});

it('names the rule and the source of each refusal', () => {
  expect(new Set(refusalNames).size).toBe(refusalNames.length);
  const all = refusalAreas.flatMap(({ rows: some }) => Object.entries(some));
  expect(all.length).toBeGreaterThan(120);
  expect(all.filter(([, { rule, source }]) => rule === '' || source === '').map(([name]) => name)).toEqual(
    [],
  );
});

it('builds every refusal with its function', () => {
  const files = execFileSync('git', ['ls-files', 'local/azure'], { encoding: 'utf8' }).split('\n');
  const makers = ['local/azure/core/http.ts', 'local/azure/core/refusal.ts'];
  const others = files.filter((file) => file.endsWith('.ts') && !makers.includes(file));
  expect(others.filter((file) => /new \w*Error\((?:4|\d{3})/.test(readFileSync(file, 'utf8')))).toEqual([]);
});

it('is provoked once by a test above', () => {
  expect(refusalNames.filter((name) => !provoked.has(name))).toEqual([]);
});
