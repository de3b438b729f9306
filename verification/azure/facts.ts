/** What one look at Azure's control plane holds. Plain data, in the words of its documents. */
import type { ServerRole } from '../../azure/vocabulary.ts';

/** What was read, or why it could not be: a missing right is no missing resource. */
export type Read<Value> = { readonly value: Value } | { readonly unreadable: string };

export interface ServerFacts {
  readonly name: string;
  readonly id: string;
  /** `Ready` when nothing is wrong. */
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
  /** Of a replica: `Active` when it follows. */
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

/** Everything that is looked at of one server. */
export interface ServerReadings {
  readonly role: ServerRole;
  readonly server: Read<ServerFacts>;
  readonly parameters: Read<readonly ParameterFacts[]>;
  /** Status of each private endpoint's connection: `Approved`, `Pending`, `Rejected`, `Disconnected`. */
  readonly connections: Read<readonly { readonly name: string; readonly status: string }[]>;
  readonly firewall: Read<readonly { readonly name: string; readonly start: string; readonly end: string }[]>;
  readonly diagnostics: Read<Diagnostics | undefined>;
  readonly locks: Read<readonly string[]>;
}

export interface Diagnostics {
  readonly workspaceId: string;
  /** Categories and groups of logs that are sent. */
  readonly logs: readonly string[];
  readonly metrics: readonly string[];
}

export interface Alert {
  readonly name: string;
  readonly enabled: boolean;
  readonly actionGroups: readonly string[];
}

/** All that a run reads of Azure, once. */
export interface AzureFacts {
  readonly now: Date;
  readonly servers: readonly ServerReadings[];
  /** Of the server that takes writes. */
  readonly administrators: Read<readonly { readonly objectId: string; readonly name: string }[]>;
  readonly backups: Read<readonly { readonly name: string; readonly completed: Date | undefined }[]>;
  readonly virtualEndpoints: Read<readonly { readonly name: string; readonly members: readonly string[] }[]>;
  readonly metricAlerts: Read<readonly Alert[]>;
  readonly activityAlerts: Read<readonly Alert[]>;
  readonly actionGroup: Read<{ readonly enabled: boolean; readonly receivers: number }>;
  readonly vaultDiagnostics: Read<Diagnostics | undefined>;
  readonly vaultLocks: Read<readonly string[]>;
  readonly key: Read<{
    readonly enabled: boolean;
    readonly expires: Date | undefined;
    readonly rotates: boolean;
  }>;
}
