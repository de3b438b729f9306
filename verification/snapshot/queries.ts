/**
 * The queries behind a snapshot, one an area. Column names are the properties of `facts.ts`.
 *
 * Leaves are many (tables x months): what a parent already says of them is not read again for each.
 */

/** Schemas that are the user's: neither the system's own nor a session's temporary ones. */
const ours = (name: string) => `${name} !~ '^pg_' AND ${name} <> 'information_schema'`;

/** Members of an extension are its business. */
const notOfExtension = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`;

const grantsOf = (acl: string) => `coalesce((
  SELECT json_agg(json_build_object('privilege', a.privilege_type, 'grantable', a.is_grantable,
    'grantee', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END))
  FROM aclexplode(${acl}) a), '[]')`;

export const server = `
  SELECT current_setting('server_version_num')::int AS version,
    EXISTS (SELECT FROM pg_database WHERE datname = 'azure_maintenance') AS "isAzure",
    pg_is_in_recovery() AS "inRecovery", d.datname AS database, pg_get_userbyid(d.datdba) AS "databaseOwner",
    pg_encoding_to_char(d.encoding) AS encoding, session_user AS login, now() AS now,
    age(d.datfrozenxid) AS "frozenAge",
    ${grantsOf(`coalesce(d.datacl, acldefault('d', d.datdba))`)} AS "databaseGrants",
    (SELECT json_build_object('version', s.version, 'cipher', s.cipher)
     FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid() AND s.ssl) AS tls
  FROM pg_database d WHERE d.datname = current_database()`;

/**
 * As a session finds them when it starts: this very one has already changed some for itself. Parameters of Azure's
 * that a local server only keeps for its library are not in pg_settings.
 */
export const settings = `
  SELECT name, coalesce(reset_val, setting) AS value, boot_val AS "builtIn", unit, pending_restart AS "pendingRestart"
  FROM pg_settings
  UNION ALL
  SELECT name, current_setting(name, true), NULL, NULL, false FROM unnest(ARRAY['azure.extensions']) AS name
  WHERE current_setting(name, true) IS NOT NULL AND name NOT IN (SELECT s.name FROM pg_settings s)`;

export const roles = `
  SELECT rolname AS name, oid = 10 AS bootstrap, rolsuper AS superuser, rolcreaterole AS "createRole", rolcreatedb AS "createDatabase",
    rolcanlogin AS login, rolreplication AS replication, rolbypassrls AS "bypassRls"
  FROM pg_roles`;

/** Before 16 a membership had neither option: inheriting was the member's attribute, SET ROLE always allowed. */
export const memberships = `
  SELECT g.rolname AS role, m.rolname AS member, bool_or(a.admin_option) AS admin,
    bool_or(coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, m.rolinherit)) AS inherit,
    bool_or(coalesce((to_jsonb(a) ->> 'set_option')::boolean, true)) AS set
  FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
  GROUP BY 1, 2`;

export const roleSettings = `
  SELECT r.rolname AS role, s.setdatabase <> 0 AS here, split_part(c.setting, '=', 1) AS name,
    substr(c.setting, strpos(c.setting, '=') + 1) AS value
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS c(setting)
  WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`;

export const schemas = `
  SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner,
    ${grantsOf(`coalesce(n.nspacl, acldefault('n', n.nspowner))`)} AS grants
  FROM pg_namespace n WHERE ${ours('n.nspname')}`;

export const relations = `
  SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, pg_get_userbyid(c.relowner) AS owner,
    c.relpersistence AS persistence, c.relrowsecurity AS rls, c.relforcerowsecurity AS "forcedRls",
    c.reltuples AS tuples, c.relispopulated AS populated, coalesce(c.reloptions, '{}') AS options,
    i.inhparent AS parent, coalesce(i.inhdetachpending, false) AS "detachPending",
    CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS bound,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS "partitionKey",
    CASE WHEN c.relacl IS NULL THEN '[]' ELSE ${grantsOf('c.relacl')} END AS grants,
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
    CASE WHEN c.relhasrules AND c.relkind IN ('r', 'p') THEN
      (SELECT array_agg(r.rulename::text) FROM pg_rewrite r WHERE r.ev_class = c.oid) ELSE '{}' END AS rules
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND ${ours('n.nspname')} AND ${notOfExtension('pg_class', 'c.oid')}`;

const notLeaf = `c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition`;

export const columns = `
  SELECT a.attrelid AS relation, a.attnum AS position, a.attname AS name,
    format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
    pg_get_expr(e.adbin, e.adrelid) AS expression, a.attidentity <> '' AS identity
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND ${notLeaf} AND ${ours('n.nspname')}
  ORDER BY 1, 2`;

export const columnGrants = `
  SELECT a.attrelid AS relation, a.attname AS column, x.privilege_type AS privilege, x.is_grantable AS grantable,
    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee) END AS grantee
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
    aclexplode(a.attacl) x
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND ${ours('n.nspname')}`;

const names = (keys: string, relation: string) => `ARRAY(
  SELECT a.attname::text FROM unnest(${keys}) WITH ORDINALITY u(number, place)
  JOIN pg_attribute a ON a.attrelid = ${relation} AND a.attnum = u.number ORDER BY u.place)`;

export const constraints = `
  SELECT k.conrelid AS relation, k.conname AS name, k.contype AS type, k.convalidated AS validated,
    ${names('k.conkey', 'k.conrelid')} AS columns, nullif(k.confrelid, 0) AS referenced,
    ${names('k.confkey', 'k.confrelid')} AS "referencedColumns", pg_get_constraintdef(k.oid) AS definition
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE (NOT c.relispartition OR NOT k.convalidated) AND k.contype <> 't' AND ${ours('n.nspname')}`;

export const policies = `
  SELECT p.polrelid AS relation, p.polname AS name, p.polpermissive AS permissive, p.polcmd AS command,
    ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r) AS roles,
    pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check
  FROM pg_policy p`;

export const indexes = `
  SELECT x.indexrelid AS oid, x.indrelid AS relation, i.relname AS name, x.indisvalid AS valid,
    x.indisready AS ready, x.indisunique AS unique, x.indisprimary AS primary, x.indimmediate AS immediate,
    h.inhparent AS parent, x.indpred IS NOT NULL AS partial,
    CASE WHEN h.inhparent IS NULL THEN ARRAY(
      SELECT coalesce(a.attname::text, '?') FROM unnest(x.indkey) WITH ORDINALITY k(number, place)
      LEFT JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.number
      WHERE k.place <= x.indnkeyatts ORDER BY k.place) ELSE '{}' END AS columns,
    CASE WHEN h.inhparent IS NULL THEN concat_ws(' ', i.relam, x.indisunique, x.indnkeyatts, x.indkey, x.indclass,
      x.indcollation, x.indoption, pg_get_expr(x.indexprs, x.indrelid), '|',
      pg_get_expr(x.indpred, x.indrelid)) END AS likeness,
    CASE WHEN NOT c.relispartition THEN pg_get_indexdef(x.indexrelid) END AS definition
  FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_inherits h ON h.inhrelid = x.indexrelid
  WHERE ${ours('n.nspname')} AND ${notOfExtension('pg_class', 'c.oid')}`;

export const triggers = `
  SELECT t.tgrelid AS relation, t.tgname AS name, t.tgenabled AS enabled, t.tgtype AS type,
    t.tgfoid AS function, t.tgparentid <> 0 AS clone
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT t.tgisinternal AND ${ours('n.nspname')}`;

export const functions = `
  SELECT p.oid, n.nspname AS schema, p.proname AS name, pg_get_function_identity_arguments(p.oid) AS args,
    array_to_string(ARRAY(SELECT format_type(u.type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY u(type, place)
      ORDER BY u.place), ', ') AS types,
    format_type(p.prorettype, NULL) AS returns, pg_get_userbyid(p.proowner) AS owner, l.lanname AS language,
    p.prosecdef AS "securityDefiner", p.proleakproof AS leakproof, coalesce(p.proconfig, '{}') AS settings,
    CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_functiondef(p.oid) END AS source,
    ${grantsOf(`coalesce(p.proacl, acldefault('f', p.proowner))`)} AS grants
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  WHERE ${ours('n.nspname')} AND ${notOfExtension('pg_proc', 'p.oid')}`;

export const extensions = `
  SELECT e.extname AS name, n.nspname AS schema, e.extversion AS version, a.default_version AS "newestVersion"
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
  LEFT JOIN pg_available_extensions a ON a.name = e.extname`;

export const defaultPrivileges = `
  SELECT pg_get_userbyid(d.defaclrole) AS creator, n.nspname AS schema, d.defaclobjtype AS objects,
    ${grantsOf('d.defaclacl')} AS grants
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace`;

export const publications = `
  SELECT p.pubname AS name, p.puballtables AS everything, coalesce((
    SELECT json_agg(json_build_object('schema', t.schemaname, 'name', t.tablename, 'filtered', t.rowfilter IS NOT NULL))
    FROM pg_publication_tables t WHERE t.pubname = p.pubname AND NOT p.puballtables), '[]') AS tables
  FROM pg_publication p`;

export const parameterGrants = `
  SELECT p.parname AS parameter, a.privilege_type AS privilege, a.is_grantable AS grantable,
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END AS grantee
  FROM pg_parameter_acl p, aclexplode(p.paracl) a WHERE a.grantee <> 10`;

const seconds = (since: string) => `extract(epoch FROM clock_timestamp() - ${since})::float8`;

export const sessions = `
  SELECT a.pid, a.usename AS user, a.application_name AS application, a.state,
    ${seconds('a.xact_start')} AS "transactionAge", ${seconds('a.state_change')} AS "stateAge",
    CASE WHEN a.wait_event_type = 'Lock' THEN ${seconds(`coalesce(
      (SELECT min(l.waitstart) FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted), a.state_change)`)} END AS "lockWait",
    s.ssl AS tls, a.client_addr IS NOT NULL AS remote
  FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s ON s.pid = a.pid
  WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()`;

export const mayMonitor = `
  SELECT pg_has_role('pg_monitor', 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE') AS complete`;

export const prepared = `
  SELECT gid, ${seconds('prepared')} AS age FROM pg_prepared_xacts WHERE database = current_database()`;

export const sequences = `
  SELECT format('%I.%I', schemaname, sequencename) AS name,
    CASE WHEN increment_by > 0 THEN last_value::float8 / max_value ELSE last_value::float8 / min_value END AS used
  FROM pg_sequences WHERE last_value IS NOT NULL AND NOT cycle`;

export const tableRows = `
  SELECT format('%I.%I', schemaname, relname) AS name, n_live_tup::float8 AS live, n_dead_tup::float8 AS dead
  FROM pg_stat_user_tables WHERE schemaname = 'llama' AND n_dead_tup > 0`;

export const indexUse = `
  SELECT n.nspname || '.' || i.relname AS name, sum(s.idx_scan)::float8 AS scans,
    (SELECT sum(t.seq_scan + coalesce(t.idx_scan, 0))::float8 FROM pg_stat_user_tables t
     WHERE t.relid = min(s.relid)) AS "tableReads"
  FROM pg_stat_user_indexes s JOIN pg_index x ON x.indexrelid = s.indexrelid
  LEFT JOIN pg_inherits h ON h.inhrelid = s.indexrelid
  JOIN pg_class i ON i.oid = coalesce(h.inhparent, s.indexrelid) JOIN pg_namespace n ON n.oid = i.relnamespace
  WHERE s.schemaname = 'llama' AND NOT x.indisunique GROUP BY n.nspname, i.relname`;

export const statisticsAge = `
  SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))::float8 / 86400 AS days
  FROM pg_stat_database WHERE datname = current_database()`;

/** On a standby the comparison is with what it has received itself. */
export const standbys = `
  SELECT application_name AS application, state,
    pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
      replay_lsn)::float8 AS "lagBytes",
    extract(epoch FROM replay_lag)::float8 AS "lagSeconds"
  FROM pg_stat_replication WHERE state <> 'backup'`;

export const slots = `
  SELECT slot_name AS name, slot_type = 'logical' AS logical, active, wal_status AS "walStatus",
    pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
      restart_lsn)::float8 AS retained
  FROM pg_replication_slots WHERE NOT temporary`;

export const registry = `
  SELECT table_name AS name, months_ahead AS "monthsAhead", retention_days AS "retentionDays", append_only AS "appendOnly"
  FROM llama.partitioned_tables ORDER BY 1`;

export const scheduledJobs = 'SELECT job_name AS name, schedule, command FROM llama.scheduled_jobs()';

export const availableExtensions = 'SELECT name FROM pg_available_extensions';

export const cronJobs = `
  SELECT j.jobid::int AS id, j.jobname AS name, j.schedule, j.command, j.database, j.active, j.username AS owner
  FROM cron.job j`;

/** The latest run of each job that has ended. */
export const cronRuns = `
  SELECT DISTINCT ON (d.jobid) d.jobid::int AS job, d.status, d.return_message AS message, d.end_time AS "endedAt"
  FROM cron.job_run_details d WHERE d.end_time IS NOT NULL ORDER BY d.jobid, d.end_time DESC`;

export const oldestRun = 'SELECT min(d.start_time) AS "oldestRun" FROM cron.job_run_details d';
