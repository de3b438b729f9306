import { describe, expect, it } from 'vitest';
import { extension, extensionNames, libraryDefaults } from '../../azure/extensions.ts';
import { alertWindows, metrics } from '../../azure/metrics.ts';
import {
  azureValue,
  isStatic,
  parameterCatalogue,
  parametersInheritedByStandby,
  refusal,
} from '../../azure/parameters.ts';
import { region, regions } from '../../azure/regions.ts';
import { sizedDefaults } from '../../azure/sized-parameters.ts';
import { parseSku, skus } from '../../azure/skus.ts';
import { storageSizesGb, storageTierRank, storageTiers } from '../../azure/storage.ts';
import { majorVersions, supportedVersions } from '../../azure/versions.ts';

describe('sizes', () => {
  /** The provider's own grammar, in the provider's form. */
  const grammar = [
    /^B_Standard_B(1|2|4|8|12|16|20)ms$/,
    /^B_Standard_B2s$/,
    /^GP_Standard_D(2|4|8|16|32|48|64)s_v3$/,
    /^GP_Standard_D(2|4|8|16|32|48|64)ds_v4$/,
    /^GP_Standard_D(2|4|8|16|32|48|64|96)a?ds_v5$/,
    /^MO_Standard_E(2|4|8|16|20|32|48|64)s_v3$/,
    /^MO_Standard_E(2|4|6|8|16|20|32|48|64)ds_v4$/,
    /^MO_Standard_E(2|4|8|16|20|32|48|64|96)ds_v5$/,
    /^MO_Standard_E(2|4|8|16|32|48|64|96)ads_v5$/,
    // From azurerm 4.70.0 and 4.79.0.
    /^GP_Standard_DC(2|4|8|16|32|48|64|96)ads_v5$/,
    /^MO_Standard_EC(2|4|8|16|20|32|48|64|96)(ads|as)_v5$/,
    /^GP_Standard_D(2|4|8|16|32|48|64|96)ds_v6$/,
    /^MO_Standard_E(2|4|8|16|32|48|64|96)ds_v6$/,
  ];
  const accepted = (name: string) => grammar.some((one) => one.test(name));

  it('are exactly those that the provider accepts', () => {
    const numbers = [1, 2, 4, 5, 6, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128];
    const written = numbers.flatMap((number) => [
      ...['ms', 's'].map((suffix) => `B_Standard_B${number}${suffix}`),
      ...['s_v3', 'ds_v4', 'ds_v5', 'ads_v5', 'ds_v6'].flatMap((suffix) => [
        `GP_Standard_D${number}${suffix}`,
        `MO_Standard_E${number}${suffix}`,
        `GP_Standard_E${number}${suffix}`,
      ]),
      ...['ads_v5', 'as_v5', 'ds_v6'].flatMap((suffix) => [
        `GP_Standard_DC${number}${suffix}`,
        `MO_Standard_EC${number}${suffix}`,
      ]),
    ]);
    expect(written.filter(accepted).sort()).toEqual(skus.map((one) => one.name).sort());
    for (const name of written) expect(parseSku(name) !== undefined, name).toBe(accepted(name));
  });

  it.each([
    ['B_Standard_B1ms', 'Burstable', 1, 2, 50],
    ['B_Standard_B2s', 'Burstable', 2, 4, 429],
    ['B_Standard_B2ms', 'Burstable', 2, 8, 859],
    ['GP_Standard_D2s_v3', 'GeneralPurpose', 2, 8, 859],
    ['GP_Standard_D4s_v3', 'GeneralPurpose', 4, 16, 1718],
    ['GP_Standard_D8ds_v5', 'GeneralPurpose', 8, 32, 3437],
    ['GP_Standard_D16ads_v5', 'GeneralPurpose', 16, 64, 5000],
    ['MO_Standard_E2s_v3', 'MemoryOptimized', 2, 16, 1718],
    ['MO_Standard_E96ds_v5', 'MemoryOptimized', 96, 672, 5000],
  ])('%s is %s with %i vCores, %i GiB and %i connections', (name, tier, vCores, memoryGb, connections) => {
    expect(parseSku(name)).toEqual({
      name,
      tier,
      size: name.replace(/^[A-Z]+_/, ''),
      vCores,
      memoryGb,
      maxConnectionsDefault: connections,
    });
  });
});

describe('disks', () => {
  it('have the sizes that the provider accepts, in its own unit', () => {
    expect(storageSizesGb.map((size) => size * 1024)).toEqual([
      32768, 65536, 131072, 262144, 524288, 1048576, 2097152, 4193280, 4194304, 8388608, 16777216, 33553408,
    ]);
  });

  it('have tiers in rising order, the default first', () => {
    expect(storageTiers(1024)).toEqual(['P30', 'P40', 'P50']);
    expect(storageTiers(8192)).toEqual(['P60', 'P70', 'P80']);
    for (const size of storageSizesGb) {
      const ranks = (storageTiers(size) ?? []).map(storageTierRank);
      expect(ranks).toEqual([...ranks].sort((left, right) => left - right));
      expect(ranks[0]).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('parameters', () => {
  it('accept their own defaults', () => {
    for (const [name, one] of Object.entries(parameterCatalogue)) {
      if (one.apply === 'read-only' || one.default === undefined || one.default === '') continue;
      expect(refusal(one, name, one.default), name).toBeUndefined();
    }
  });

  it('are static if they wait for a restart, or if they are unknown', () => {
    expect([isStatic('max_connections'), isStatic('work_mem'), isStatic('timescaledb.new')]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it('have switches as Azure spells them', () => {
    expect(azureValue('log_checkpoints', false)).toBe('off');
    expect(azureValue('pgbouncer.enabled', true)).toBe('true');
    expect(azureValue('work_mem', 8192)).toBe('8192');
  });
});

describe('regions', () => {
  it('have pairs that exist and differ from them', () => {
    for (const one of regions) {
      if (one.pair === undefined) continue;
      expect(region(one.pair), one.name).toBeDefined();
      expect(one.pair).not.toBe(one.name);
    }
  });

  it("have westus as the pair of eastus, not the replica's region", () => {
    expect(region('eastus')).toEqual({ name: 'eastus', pair: 'westus', hasZones: true });
    expect(region('westus')?.hasZones).toBe(false);
    expect(region('westus2')?.hasZones).toBe(true);
  });
});

describe('metrics, extensions and versions', () => {
  it('have aggregations and a window that alerts accept', () => {
    for (const [name, one] of Object.entries(metrics)) {
      expect(one.aggregations.length, name).toBeGreaterThan(0);
      expect(alertWindows, name).toContain(one.minimumWindow);
    }
    expect(metrics.connections_failed.aggregations).toEqual(['Total']);
    expect(metrics.max_connections).toMatchObject({ aggregations: ['Maximum'], minimumWindow: 'PT30M' });
    expect(metrics.disk_iops_consumed_percentage.minimumWindow).toBe('PT5M');
    expect(metrics.physical_replication_delay_in_seconds.emittedBy).toBe('replica');
  });

  it("have no library for pg_buffercache, and another name for pg_partman's", () => {
    expect(extension('pg_buffercache')).toEqual({ name: 'pg_buffercache' });
    expect(extension('pg_partman')?.preload).toBe('pg_partman_bgw');
    expect(new Set(extensionNames).size).toBe(extensionNames.length);
    expect([libraryDefaults(17), libraryDefaults(18)]).toEqual([
      ['pg_stat_statements'],
      ['pg_cron', 'pg_stat_statements'],
    ]);
  });

  it('support three major versions, each with its end of life', () => {
    expect(supportedVersions).toEqual([16, 17, 18]);
    for (const { endOfLife } of majorVersions) expect(endOfLife).toMatch(/^20\d\d-11-\d\d$/);
  });
});

describe('limits that a standby inherits', () => {
  it('are the five that PostgreSQL documents for hot standby, and static', () => {
    expect([...parametersInheritedByStandby].sort()).toEqual([
      'max_connections',
      'max_locks_per_transaction',
      'max_prepared_transactions',
      'max_wal_senders',
      'max_worker_processes',
    ]);
    expect(parametersInheritedByStandby.filter((name) => !isStatic(name))).toEqual([]);
  });
});

describe('defaults that Azure computes from the size', () => {
  it.each([
    ['B_Standard_B1ms', 50, 32_768, 229_376, 99_328, 2048],
    ['B_Standard_B2s', 429, 131_072, 393_216, 157_696, 2048],
    ['GP_Standard_D4s_v3', 1718, 524_288, 1_572_864, 274_432, 2048],
    ['GP_Standard_D8s_v3', 3437, 1_048_576, 3_145_728, 332_800, 16_384],
    ['MO_Standard_E96ds_v5', 5000, 22_020_096, 66_060_288, 590_848, 16_384],
  ])('are those of its table: %s', (name, connections, buffers, cache, maintenance, wal) => {
    const size = parseSku(name);
    expect(size && sizedDefaults(size)).toEqual({
      max_connections: connections,
      shared_buffers: buffers,
      effective_cache_size: cache,
      maintenance_work_mem: maintenance,
      wal_buffers: wal,
    });
  });
});
