/**
 * Extensions of the Flexible Server, each with the library that it needs preloaded.
 *
 * Sources: https://learn.microsoft.com/azure/postgresql/extensions/concepts-extensions-versions (tables of the
 * engines 16, 17 and 18, June 2026) and
 * https://learn.microsoft.com/azure/postgresql/extensions/how-to-load-libraries.
 * Azure adds extensions every few months. Add a missing one here, with the table as its source.
 */
export const extensionsSource =
  'https://learn.microsoft.com/azure/postgresql/extensions/concepts-extensions-versions';

export interface Extension {
  readonly name: string;
  /** Library for `shared_preload_libraries`. @default - none */
  readonly preload?: string;
  /** First major version that has it. @default - every supported version */
  readonly since?: number;
}

const needingNoLibrary = [
  'address_standardizer',
  'address_standardizer_data_us',
  'amcheck',
  'azure_ai',
  'bloom',
  'btree_gin',
  'btree_gist',
  'citext',
  'cube',
  'dblink',
  'dict_int',
  'dict_xsyn',
  'earthdistance',
  'fuzzystrmatch',
  'hll',
  'hstore',
  'hypopg',
  'intagg',
  'intarray',
  'ip4r',
  'isn',
  'lo',
  'login_hook',
  'ltree',
  'oracle_fdw',
  'orafce',
  'pageinspect',
  'pg_buffercache',
  'pg_diskann',
  'pg_freespacemap',
  'pg_repack',
  'pg_trgm',
  'pg_visibility',
  'pgcrypto',
  'pgrouting',
  'pgrowlocks',
  'pgstattuple',
  'plpgsql',
  'plv8',
  'postgis',
  'postgis_raster',
  'postgis_sfcgal',
  'postgis_tiger_geocoder',
  'postgis_topology',
  'postgres_fdw',
  'postgres_protobuf',
  'semver',
  'session_variable',
  'sslinfo',
  'tablefunc',
  'tdigest',
  'tds_fdw',
  'temporal_tables',
  'topn',
  'tsm_system_rows',
  'tsm_system_time',
  'unaccent',
  'uuid-ossp',
  'vector',
];

const needingLibrary: readonly Extension[] = [
  { name: 'age', preload: 'age' },
  { name: 'anon', preload: 'anon' },
  { name: 'azure_storage', preload: 'azure_storage' },
  { name: 'credcheck', preload: 'credcheck' },
  { name: 'pg_cron', preload: 'pg_cron' },
  { name: 'pg_duckdb', preload: 'pg_duckdb', since: 17 },
  { name: 'pg_hint_plan', preload: 'pg_hint_plan' },
  { name: 'pg_ivm', preload: 'pg_ivm', since: 17 },
  { name: 'pg_partman', preload: 'pg_partman_bgw' },
  { name: 'pg_prewarm', preload: 'pg_prewarm' },
  { name: 'pg_squeeze', preload: 'pg_squeeze' },
  { name: 'pg_stat_statements', preload: 'pg_stat_statements' },
  { name: 'pgaudit', preload: 'pgaudit' },
  { name: 'pglogical', preload: 'pglogical' },
  { name: 'timescaledb', preload: 'timescaledb' },
];

const byName = new Map<string, Extension>(
  [...needingNoLibrary.map((name): Extension => ({ name })), ...needingLibrary].map((one) => [one.name, one]),
);

export const extensionNames: readonly string[] = [...byName.keys()].sort();

export function extension(name: string): Extension | undefined {
  return byName.get(name);
}

/** Libraries that can be preloaded and are not extensions: nothing to create, nothing in `azure.extensions`. */
export const librariesWithoutExtension: readonly string[] = ['auto_explain', 'wal2json'];

/**
 * Libraries that Azure preloads by default. A set `shared_preload_libraries` replaces them, so the project always lists
 * them again. Otherwise Query Performance Insight, or pg_cron's catalog, would stop with the next restart.
 */
export function libraryDefaults(version: number): readonly string[] {
  return version >= 18 ? ['pg_cron', 'pg_stat_statements'] : ['pg_stat_statements'];
}
