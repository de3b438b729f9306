/** Facts of Azure's control plane. Plain data, with the terms of its documents. */
import type { ServerRole } from '../../azure/vocabulary.ts';
import type { Unreadable } from '../snapshot/source.ts';

/** A value, or the reason why it could not be read: a missing permission is not a missing resource. */
export type Read<Value> = { readonly value: Value } | Unreadable;

export interface ServerFacts {
  readonly name: string;
  readonly id: string;
  /** `Ready` if nothing is wrong. */
  readonly state: string;
  readonly version: string;
  readonly sku: string;
  readonly tier: string;
  readonly storageGb: number;
  readonly autoGrow: boolean;
  readonly zone: string;
  readonly highAvailability: { readonly mode: string; readonly state: string; readonly standbyZone: string };
  readonly backup: {
    readonly retentionDays: number;
    readonly geoRedundant: boolean;
    readonly earliestRestore: Date | undefined;
  };
  readonly publicAccess: boolean;
  readonly delegatedSubnet: boolean;
  readonly passwordLogin: boolean;
  readonly entraLogin: boolean;
  readonly maintenanceWindow: {
    readonly custom: boolean;
    readonly dayOfWeek: number;
    readonly startHour: number;
    readonly startMinute: number;
  };
  /** `Primary`, `AsyncReplica`, `GeoAsyncReplica`. */
  readonly replicationRole: string;
  readonly sourceId: string | undefined;
  /** Of a replica: `Active` while it replicates. */
  readonly replicationState: string | undefined;
  readonly createdAt: Date | undefined;
}

export interface ParameterFacts {
  readonly name: string;
  readonly value: string;
  readonly defaultValue: string;
  /** `system-default`, `user-override`. */
  readonly source: string;
  readonly pendingRestart: boolean;
  readonly readOnly: boolean;
}

/** All facts of one server. */
export interface ServerReadings {
  readonly role: ServerRole;
  readonly server: Read<ServerFacts>;
  readonly parameters: Read<readonly ParameterFacts[]>;
  /** Status of the connection of each private endpoint: `Approved`, `Pending`, `Rejected`, `Disconnected`. */
  readonly connections: Read<readonly { readonly name: string; readonly status: string }[]>;
  readonly firewall: Read<readonly { readonly name: string; readonly start: string; readonly end: string }[]>;
  readonly diagnostics: Read<Diagnostics | undefined>;
  readonly locks: Read<readonly string[]>;
  /** Of the role assignments that the deployment expects, those that exist. */
  readonly access: Read<readonly RoleAssignment[]>;
}

export interface RoleAssignment {
  readonly name: string;
  readonly objectId: string;
  readonly roleId: string;
}

export interface Diagnostics {
  readonly workspaceId: string;
  /** Enabled categories and category groups of logs. */
  readonly logs: readonly string[];
  readonly metrics: readonly string[];
  /** Empty if nothing goes there. */
  readonly storageAccountId: string;
  readonly eventHub: { readonly authorizationRuleId: string; readonly name: string };
}

export interface Receiver {
  /** Kind and name: `email on-call`. */
  readonly name: string;
  /** False for a person who has unsubscribed. */
  readonly enabled: boolean;
}

export interface Alert {
  readonly name: string;
  readonly enabled: boolean;
  readonly actionGroups: readonly string[];
}

export interface LogAlert extends Alert {
  readonly query: string;
}

export interface JobFacts {
  readonly image: string;
  /** With its arguments. */
  readonly command: string;
  /** Resource ids. */
  readonly identities: readonly string[];
  readonly trigger: string;
  readonly retries: number;
  readonly timeoutSeconds: number;
  /** Of its environment. @default - nothing is kept */
  readonly diagnostics: Diagnostics | undefined;
}

/** All facts of one run. */
export interface AzureFacts {
  readonly now: Date;
  readonly servers: readonly ServerReadings[];
  /** Of the writer, like backups and virtual endpoints. */
  readonly administrators: Read<readonly { readonly objectId: string; readonly name: string }[]>;
  readonly backups: Read<readonly { readonly name: string; readonly completed: Date | undefined }[]>;
  readonly virtualEndpoints: Read<readonly { readonly name: string; readonly members: readonly string[] }[]>;
  readonly metricAlerts: Read<readonly Alert[]>;
  readonly activityAlerts: Read<readonly Alert[]>;
  readonly logAlerts: Read<readonly LogAlert[]>;
  readonly actionGroup: Read<{ readonly enabled: boolean; readonly receivers: readonly Receiver[] }>;
  /** Of the weekly backup's instance: `ProtectionConfigured` if nothing is wrong. */
  readonly weeklyBackup: Read<string>;
  /** @default - it does not exist */
  readonly postDeployJob: Read<JobFacts | undefined>;
  readonly workspace: Read<{ readonly sharedKeys: boolean }>;
  readonly vaultDiagnostics: Read<Diagnostics | undefined>;
  readonly vaultLocks: Read<readonly string[]>;
  readonly key: Read<{
    readonly enabled: boolean;
    readonly expires: Date | undefined;
    readonly rotates: boolean;
  }>;
}
