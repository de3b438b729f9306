/** Classification of everything in the catalogs that could keep something in a session. A new name needs a decision. */

/** Settings that RESET ALL leaves, with the reason why that is safe. */
export const notReset: Readonly<Record<string, string>> = {
  transaction_isolation: 'ends with the transaction; a changed default is refused',
  transaction_read_only: 'ends with the transaction; a changed default is refused',
  transaction_deferrable: 'ends with the transaction; a changed default is refused',
};

/** Settings that have changed the current message or transaction when the call begins. */
export const refused: readonly string[] = [
  ...['default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable'],
  ...['client_encoding', 'standard_conforming_strings', 'backslash_quote'],
];

/** Values of settings of type text, because the catalogs give none. */
export const texts: Readonly<Record<string, string>> = {
  application_name: 'left',
  client_encoding: 'LATIN1',
  createrole_self_grant: 'set',
  DateStyle: 'German',
  default_table_access_method: 'left',
  default_tablespace: 'pg_default',
  default_text_search_config: 'pg_catalog.german',
  lc_monetary: 'POSIX',
  lc_numeric: 'POSIX',
  lc_time: 'POSIX',
  restrict_nonsystem_relation_kind: 'view',
  search_path: 'pg_temp, llama',
  temp_tablespaces: 'pg_default',
  TimeZone: 'Asia/Tokyo',
  timezone_abbreviations: 'Australia',
};

/** Settings without a second value that a session could take here. */
export const unchangeable: Readonly<Record<string, string>> = {
  default_table_access_method: 'heap is the only access method',
  local_preload_libraries: 'only at the start of a session',
};

/** Views of pg_catalog that show state of the session; all others show the server or the database. */
export const sessionViews: readonly string[] = [
  ...['pg_cursors', 'pg_locks', 'pg_prepared_statements', 'pg_prepared_xacts', 'pg_settings'],
];
export const otherViews: readonly (string | RegExp)[] = [
  /^pg_stat/,
  ...['pg_aios', 'pg_available_extension_versions', 'pg_available_extensions', 'pg_backend_memory_contexts'],
  ...['pg_config', 'pg_file_settings', 'pg_group', 'pg_hba_file_rules', 'pg_ident_file_mappings'],
  ...['pg_indexes', 'pg_matviews', 'pg_policies', 'pg_publication_tables', 'pg_replication_origin_status'],
  ...['pg_replication_slots', 'pg_roles', 'pg_rules', 'pg_seclabels', 'pg_sequences', 'pg_shadow'],
  ...['pg_shmem_allocations', 'pg_shmem_allocations_numa', 'pg_tables', 'pg_timezone_abbrevs'],
  ...['pg_timezone_names', 'pg_user', 'pg_user_mappings', 'pg_views', 'pg_wait_events'],
];

/** Volatile functions for everybody that leave something behind. The tests leave each of it. */
export const leaving: readonly RegExp[] = [
  /^pg_(try_)?advisory_/,
  /^lo_|^lo(read|write)$/,
  /^(currval|lastval|nextval|setval)$/,
  /^(set_config|setseed|random|random_normal|array_sample|array_shuffle)$/,
];

/** Volatile functions for everybody that leave nothing: they read, or they end with the statement or the transaction. */
export const nothingLeft: readonly RegExp[] = [
  /^binary_upgrade_|^pg_stop_making_pinned_objects$/, // only while pg_upgrade runs
  /^(brin|gin)_|_validator$|^amvalidate$/,
  /^pg_(control|current_wal|last|get|is|stat|wal|available|blocking|safe|notification|lock_status|xact|prepared_xact)/,
  /^pg_(database|relation|table|tablespace|indexes|total_relation)_size$/,
  /^pg_(cancel|terminate)_backend$|^pg_sleep/,
  /^pg_(create|copy|drop|sync|logical|replication)_?.*(slots?|changes|message|advance|failover)/, // need REPLICATION
  /^pg_(collation|database_collation)_actual_version$|^pg_import_system_collations$|^pg_nextoid$/,
  /^pg_(read_file_old|rotate_logfile_old)$|^pg_(clear|restore)_(attribute|relation)_stats$/, // need privileges
  /^pg_(extension_config_dump|partition_(ancestors|tree)|sequence_last_value|jit_available|isolation_test)/,
  /^pg_(export_snapshot|notify)$/, // end with the transaction
  /^(clock_timestamp|timeofday|current_query|currtid2|gen_random_uuid|uuidv[47]|txid_status)$/,
  /^(cursor|query)_to_xml|^ts_(rewrite|stat)$/,
];

export const matches = (name: string, list: readonly (string | RegExp)[]): boolean =>
  list.some((one) => (typeof one === 'string' ? one === name : one.test(name)));
