/** Events of a server that the PostgreSQL behind it repeats. `server` is its resource id. */
export type ServerEvent =
  | {
      readonly kind: 'created';
      readonly server: string;
      /** Source of a replica or restore. @default - a new server */
      readonly source?: string;
      /** Whether it is a replica of its source. */
      readonly replica: boolean;
      /** Whether it is a deleted server that was revived. */
      readonly revived: boolean;
      /** Whether Entra authentication is on. */
      readonly entra: boolean;
    }
  | { readonly kind: 'deleted' | 'stopped' | 'started' | 'scaled'; readonly server: string }
  /** `failover`: the standby has taken over, which cut every connection without notice. */
  | { readonly kind: 'restarted'; readonly server: string; readonly failover: boolean }
  /** `primary` becomes a replica of `server`, unless the promotion is `standalone`. */
  | {
      readonly kind: 'promoted';
      readonly server: string;
      readonly primary: string;
      readonly standalone: boolean;
    }
  | { readonly kind: 'parameterSet'; readonly server: string; readonly name: string; readonly value: string }
  | {
      readonly kind: 'databaseCreated' | 'databaseDeleted';
      readonly server: string;
      readonly database: string;
      /** Role that a new database belongs to. @default - it is deleted */
      readonly owner?: string;
    }
  /** The administrator with a password exists, with this password. */
  | {
      readonly kind: 'passwordSet';
      readonly server: string;
      readonly login: string;
      readonly password: string;
    }
  | {
      readonly kind: 'administratorAdded';
      readonly server: string;
      readonly name: string;
      readonly objectId: string;
      readonly principalType: string;
    }
  | { readonly kind: 'administratorRemoved'; readonly server: string; readonly name: string };

/** State of a parameter after it was set: in force, waiting for a restart, or not known to the receiver. */
export type ParameterState = 'inForce' | 'pending' | undefined;

/** Awaited inside the operation, which fails if this throws. The answer to `parameterSet` is the parameter's state. */
export type ServerEvents = (event: ServerEvent) => ParameterState | Promise<ParameterState>;
