/** Sessions, statistics and replication. */
import { mapped, nested, notOfExtension, row, rows, userSchema } from './source.ts';

export interface Session {
  readonly pid: number;
  readonly user: string | null;
  readonly application: string;
  readonly state: string | null;
  /** Seconds since the transaction began; null without one. */
  readonly transactionAge: number | null;
  /** Seconds in the present state. */
  readonly stateAge: number | null;
  /** Seconds that it has waited for a lock; null if it does not wait. */
  readonly lockWait: number | null;
  /** Null if unknown. */
  readonly tls: boolean | null;
  readonly remote: boolean;
}

const seconds = (since: string) => `extract(epoch FROM clock_timestamp() - ${since})::float8`;

export const activityFacts = {
  activity: nested({
    /** Client sessions of this server, except for this one. */
    sessions: rows<Session>(`
    SELECT a.pid, a.usename AS user, a.application_name AS application, a.state,
      ${seconds('a.xact_start')} AS "transactionAge", ${seconds('a.state_change')} AS "stateAge",
      CASE WHEN a.wait_event_type = 'Lock' THEN ${seconds(`coalesce(
        (SELECT min(l.waitstart) FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted), a.state_change)`)} END AS "lockWait",
      s.ssl AS tls, a.client_addr IS NOT NULL AS remote
    FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s ON s.pid = a.pid
    WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()`),
    /** False if the login may not see the sessions of other roles. */
    complete: mapped(
      row<{ readonly complete: boolean }>(`
    SELECT pg_has_role('pg_monitor', 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE') AS complete`),
      ({ complete }) => complete,
    ),
    /** Prepared transactions and their age in seconds. */
    prepared: rows<{ readonly gid: string; readonly age: number }>(`
    SELECT gid, ${seconds('prepared')} AS age FROM pg_prepared_xacts WHERE database = current_database()`),
    /** False if pg_sequences hides the position of a sequence from the login. */
    sequencesVisible: mapped(
      row<{ readonly visible: boolean }>(`
    SELECT coalesce(bool_and(has_sequence_privilege(c.oid, 'SELECT, USAGE')), true) AS visible
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND ${userSchema('n.nspname')} AND ${notOfExtension('pg_class', 'c.oid')}`),
      ({ visible }) => visible,
    ),
    /** Share of its range that each sequence has used. */
    sequences: rows<{ readonly name: string; readonly used: number }>(`
    SELECT format('%I.%I', schemaname, sequencename) AS name,
      CASE WHEN increment_by > 0 THEN last_value::float8 / max_value ELSE last_value::float8 / min_value END AS used
    FROM pg_sequences WHERE last_value IS NOT NULL AND NOT cycle`),
    /** Live and dead rows of tables and leaves of schema llama, from the statistics. */
    tables: rows<{ readonly name: string; readonly live: number; readonly dead: number }>(`
    SELECT format('%I.%I', schemaname, relname) AS name, n_live_tup::float8 AS live, n_dead_tup::float8 AS dead
    FROM pg_stat_user_tables WHERE schemaname = 'llama' AND n_dead_tup > 0`),
    /** Uses of indexes that enforce nothing; leaves are counted with their parent. */
    indexUse: rows<{ readonly name: string; readonly scans: number; readonly tableReads: number }>(`
    SELECT n.nspname || '.' || i.relname AS name, sum(s.idx_scan)::float8 AS scans,
      (SELECT sum(t.seq_scan + coalesce(t.idx_scan, 0))::float8 FROM pg_stat_user_tables t
       WHERE t.relid = min(s.relid)) AS "tableReads"
    FROM pg_stat_user_indexes s JOIN pg_index x ON x.indexrelid = s.indexrelid
    LEFT JOIN pg_inherits h ON h.inhrelid = s.indexrelid
    JOIN pg_class i ON i.oid = coalesce(h.inhparent, s.indexrelid) JOIN pg_namespace n ON n.oid = i.relnamespace
    WHERE s.schemaname = 'llama' AND NOT x.indisunique GROUP BY n.nspname, i.relname`),
    /** Days that the statistics cover. */
    statisticsDays: mapped(
      row<{ readonly days: number }>(`
    SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))::float8 / 86400 AS days
    FROM pg_stat_database WHERE datname = current_database()`),
      ({ days }) => days,
    ),
  }),
  replication: nested({
    /** On a standby the lag is measured against the WAL that it has received itself. */
    standbys: rows<{
      readonly application: string;
      readonly state: string;
      /** Bytes that it has not replayed. */
      readonly lagBytes: number | null;
      /** Seconds until it confirmed the last replayed position; null if idle. */
      readonly lagSeconds: number | null;
    }>(`
    SELECT application_name AS application, state,
      pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
        replay_lsn)::float8 AS "lagBytes",
      extract(epoch FROM replay_lag)::float8 AS "lagSeconds"
    FROM pg_stat_replication WHERE state <> 'backup'`),
    slots: rows<{
      readonly name: string;
      readonly logical: boolean;
      readonly active: boolean;
      readonly walStatus: string | null;
      /** Bytes of WAL that the server keeps for it. */
      readonly retained: number | null;
    }>(`
    SELECT slot_name AS name, slot_type = 'logical' AS logical, active, wal_status AS "walStatus",
      pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
        restart_lsn)::float8 AS retained
    FROM pg_replication_slots WHERE NOT temporary`),
  }),
};
