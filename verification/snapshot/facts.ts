/**
 * What one look at the catalogs holds. Plain data, so that checks are functions of it and a test can bend it.
 */
import type { Seal } from '../../database/audit/canonical.ts';
import type { LedgerEntry } from '../../database/migrator/ledger.ts';

export interface Snapshot {
  readonly server: ServerFacts;
  /** pg_settings, by name. */
  readonly settings: ReadonlyMap<string, Setting>;
  readonly roles: readonly Role[];
  readonly memberships: readonly Membership[];
  /** ALTER ROLE … SET and ALTER DATABASE … SET, of this database or of every one. */
  readonly roleSettings: readonly RoleSetting[];
  readonly schemas: readonly Schema[];
  /** Tables, partitioned tables, views, materialized views, sequences, foreign tables; leaves included. */
  readonly relations: readonly Relation[];
  /** Of every relation that is no leaf. */
  readonly columns: readonly Column[];
  /** Privileges on single columns, leaves included. */
  readonly columnGrants: readonly ColumnGrant[];
  /** Of every relation that is no leaf; of a leaf where it is not valid. */
  readonly constraints: readonly Constraint[];
  readonly policies: readonly Policy[];
  readonly indexes: readonly Index[];
  /** Triggers that people made, and their clones on leaves. */
  readonly triggers: readonly Trigger[];
  readonly functions: readonly Routine[];
  readonly extensions: readonly Extension[];
  /** Names of extensions that this server carries, created or not. */
  readonly availableExtensions: readonly string[];
  readonly defaultPrivileges: readonly DefaultPrivilege[];
  readonly publications: readonly Publication[];
  readonly parameterGrants: readonly ParameterGrant[];
  readonly activity: Activity;
  readonly replication: Replication;
  readonly registry: OwnersRows<RegisteredTable>;
  readonly ledger: OwnersRows<LedgerEntry>;
  /** What node-pg-migrate's own table names as applied. */
  readonly runnerNames: OwnersRows<string>;
  readonly scheduledJobs: OwnersRows<ScheduledJob>;
  readonly sealing: Sealing | { readonly unreadable: string };
  readonly cron: Cron | { readonly unreadable: string };
}

/** What pg_cron shows this login: its own jobs, and their latest runs. */
export interface Cron {
  readonly jobs: readonly {
    readonly id: number;
    readonly name: string | null;
    readonly schedule: string;
    readonly command: string;
    readonly database: string;
    readonly active: boolean;
    readonly owner: string;
  }[];
  readonly runs: readonly {
    readonly job: number;
    readonly status: string;
    readonly message: string | null;
    readonly endedAt: Date;
  }[];
  /** When the oldest run began that is still kept; null without any. */
  readonly oldestRun: Date | null;
}

/** The sealed audit trail, as far as a look that takes no longer on a big one can see it. */
export interface Sealing {
  /** The newest seals, oldest first. */
  readonly head: readonly Seal[];
  /** What the rows of the newest of them hash to now. */
  readonly contents: readonly {
    readonly number: number;
    readonly rows: number;
    readonly hash: string | null;
  }[];
  readonly unsealed: {
    /** Counted up to `limit`. */
    readonly rows: number;
    readonly limit: number;
    readonly oldest: Date | null;
  };
  /** Months (`2026-11-01`) that have seals. */
  readonly months: readonly {
    readonly month: string;
    readonly attached: boolean;
    readonly closed: boolean;
  }[];
  /** What numbers the rows; undefined where the sequence is gone. */
  readonly numbering?: {
    readonly cache: number;
    readonly increment: number;
    readonly cycle: boolean;
    /** Last number given; null before the first. */
    readonly last: number | null;
    readonly sealedThrough: number;
  };
}

/** Rows that only llama_owner sees, or why they could not be read. */
export type OwnersRows<Row> = { readonly rows: readonly Row[] } | { readonly unreadable: string };

/** A row of llama.partitioned_tables. */
export interface RegisteredTable {
  readonly name: string;
  readonly monthsAhead: number;
  readonly retentionDays: number;
  readonly appendOnly: boolean;
}

/** A row of llama.scheduled_jobs(). */
export interface ScheduledJob {
  readonly name: string;
  readonly schedule: string;
  readonly command: string;
}

export interface ServerFacts {
  /** server_version_num, e.g. 170010. */
  readonly version: number;
  /** Azure's own, recognised by the maintenance database that every Flexible Server has. */
  readonly isAzure: boolean;
  readonly inRecovery: boolean;
  readonly database: string;
  readonly databaseOwner: string;
  readonly encoding: string;
  readonly login: string;
  /** TLS of this very connection; null where it has none. */
  readonly tls: { readonly version: string; readonly cipher: string } | null;
  readonly now: Date;
  /** Transactions since the oldest row that is not frozen. */
  readonly frozenAge: number;
  readonly databaseGrants: readonly Grant[];
}

export interface Setting {
  /** In `unit`, as a session finds it when it starts. */
  readonly value: string;
  /** What the server's programs have when nobody says anything. */
  readonly builtIn: string | null;
  readonly unit: string | null;
  readonly pendingRestart: boolean;
}

export interface Role {
  readonly name: string;
  /** The superuser that initdb made: the platform's own. */
  readonly bootstrap: boolean;
  readonly superuser: boolean;
  readonly createRole: boolean;
  readonly createDatabase: boolean;
  readonly login: boolean;
  readonly replication: boolean;
  readonly bypassRls: boolean;
}

/** `member` is in `role`. */
export interface Membership {
  readonly role: string;
  readonly member: string;
  readonly admin: boolean;
  readonly inherit: boolean;
  readonly set: boolean;
}

export interface RoleSetting {
  /** Null: every role. */
  readonly role: string | null;
  /** True: this database only. */
  readonly here: boolean;
  readonly name: string;
  readonly value: string;
}

export interface Grant {
  /** Role name, or `PUBLIC`. */
  readonly grantee: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

export interface Schema {
  readonly name: string;
  readonly owner: string;
  readonly grants: readonly Grant[];
}

export interface Relation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** relkind: r table, p partitioned, v view, m materialized view, S sequence, f foreign table. */
  readonly kind: 'r' | 'p' | 'v' | 'm' | 'S' | 'f';
  readonly owner: string;
  readonly persistence: 'p' | 'u' | 't';
  readonly rls: boolean;
  readonly forcedRls: boolean;
  /** Estimated rows; -1 when never analysed. */
  readonly tuples: number;
  readonly populated: boolean;
  readonly options: readonly string[];
  /** Of a leaf: its partitioned table. */
  readonly parent: number | null;
  readonly detachPending: boolean;
  /** Of a leaf: FOR VALUES … with instants in UTC, or DEFAULT. */
  readonly bound: string | null;
  /** Of a partitioned table: RANGE ("timestamp"). */
  readonly partitionKey: string | null;
  readonly grants: readonly Grant[];
  /** Of a view or materialized view. */
  readonly definition: string | null;
  /** Rewrite rules beside a view's own. */
  readonly rules: readonly string[];
}

export interface Column {
  readonly relation: number;
  readonly position: number;
  readonly name: string;
  /** As format_type spells it: character varying(100). */
  readonly type: string;
  readonly notNull: boolean;
  /** Default or generation expression. */
  readonly expression: string | null;
  readonly identity: boolean;
}

export interface ColumnGrant extends Grant {
  readonly relation: number;
  readonly column: string;
}

export interface Constraint {
  readonly relation: number;
  readonly name: string;
  /** p primary key, u unique, f foreign key, c check, x exclusion, n not null. */
  readonly type: string;
  readonly validated: boolean;
  readonly columns: readonly string[];
  readonly referenced: number | null;
  readonly referencedColumns: readonly string[];
  readonly definition: string;
}

export interface Policy {
  readonly relation: number;
  readonly name: string;
  readonly permissive: boolean;
  /** r select, a insert, w update, d delete, * all. */
  readonly command: 'r' | 'a' | 'w' | 'd' | '*';
  /** Role names, or `PUBLIC`. */
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
}

export interface Index {
  readonly oid: number;
  readonly relation: number;
  readonly name: string;
  readonly valid: boolean;
  readonly ready: boolean;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly immediate: boolean;
  /** The partitioned index it is attached to. */
  readonly parent: number | null;
  /** Key columns by name, in order; an expression is `?`. Columns of INCLUDE are not among them. */
  readonly columns: readonly string[];
  /** Everything that makes two indexes of one table do the same work; of an index without a parent. */
  readonly likeness: string | null;
  /** Of an index of a table that is no leaf. */
  readonly definition: string | null;
  readonly partial: boolean;
}

export interface Trigger {
  readonly relation: number;
  readonly name: string;
  /** O origin, A always, R replica, D disabled. */
  readonly enabled: 'O' | 'A' | 'R' | 'D';
  /** tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of. */
  readonly type: number;
  readonly function: number;
  /** Of a clone on a leaf: true. */
  readonly clone: boolean;
}

export interface Routine {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Names and types of the arguments: data text, key_id text. */
  readonly args: string;
  /** Types of the arguments: text, text. */
  readonly types: string;
  readonly returns: string;
  readonly owner: string;
  readonly language: string;
  readonly securityDefiner: boolean;
  readonly leakproof: boolean;
  readonly settings: readonly string[];
  readonly source: string;
  readonly grants: readonly Grant[];
}

export interface Extension {
  readonly name: string;
  readonly schema: string;
  readonly version: string;
  readonly newestVersion: string | null;
}

export interface DefaultPrivilege {
  /** Whose new objects it concerns. */
  readonly creator: string;
  /** Null: every schema. */
  readonly schema: string | null;
  /** r tables, S sequences, f functions, T types, n schemas. */
  readonly objects: string;
  readonly grants: readonly Grant[];
}

/** A parameter of superusers that somebody else was given. */
export interface ParameterGrant extends Grant {
  readonly parameter: string;
}

export interface Publication {
  readonly name: string;
  readonly everything: boolean;
  readonly tables: readonly { readonly schema: string; readonly name: string; readonly filtered: boolean }[];
}

export interface Session {
  readonly pid: number;
  readonly user: string | null;
  readonly application: string;
  readonly state: string | null;
  /** Seconds since the transaction began; null outside one. */
  readonly transactionAge: number | null;
  /** Seconds in the present state. */
  readonly stateAge: number | null;
  /** Seconds it has waited for a lock so far; null when it does not. */
  readonly lockWait: number | null;
  /** Null: nothing is known of it. */
  readonly tls: boolean | null;
  readonly remote: boolean;
}

export interface Activity {
  /** Client sessions of this server, this one excepted. */
  readonly sessions: readonly Session[];
  /** False where the login may not see other roles' sessions. */
  readonly complete: boolean;
  readonly prepared: readonly { readonly gid: string; readonly age: number }[];
  readonly sequences: readonly { readonly name: string; readonly used: number }[];
  /** Rows of tables of schema llama, leaves by themselves, as the statistics have them. */
  readonly tables: readonly { readonly name: string; readonly live: number; readonly dead: number }[];
  /** Indexes that enforce nothing, leaves counted with their parent. */
  readonly indexUse: readonly {
    readonly name: string;
    readonly scans: number;
    readonly tableReads: number;
  }[];
  /** Days that the statistics cover. */
  readonly statisticsDays: number;
}

export interface Replication {
  readonly standbys: readonly {
    readonly application: string;
    readonly state: string;
    /** Bytes not yet replayed there. */
    readonly lagBytes: number | null;
    /** Seconds until the last replayed position was confirmed; null when idle. */
    readonly lagSeconds: number | null;
  }[];
  readonly slots: readonly {
    readonly name: string;
    readonly logical: boolean;
    readonly active: boolean;
    readonly walStatus: string | null;
    /** Bytes of WAL kept for it. */
    readonly retained: number | null;
  }[];
}
