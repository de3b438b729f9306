/** What happens to a server and has to happen to the PostgreSQL behind it as well. `server` is its resource id. */
export type ServerEvent =
  | {
      readonly kind: 'created';
      readonly server: string;
      /** Server it follows, or was restored from. @default - a new one */
      readonly source?: string;
      /** Whether it follows its source from now on. */
      readonly replica: boolean;
      /** Whether Entra authentication is on. */
      readonly entra: boolean;
    }
  | { readonly kind: 'deleted' | 'stopped' | 'started' | 'scaled'; readonly server: string }
  /** `failover`: its standby has taken over, which cut every connection without notice. */
  | { readonly kind: 'restarted'; readonly server: string; readonly failover: boolean }
  /** `primary` follows `server` from now on, unless the two have nothing to do with each other any more. */
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
    }
  | {
      readonly kind: 'administratorAdded';
      readonly server: string;
      readonly name: string;
      readonly objectId: string;
      readonly principalType: string;
    }
  | { readonly kind: 'administratorRemoved'; readonly server: string; readonly name: string };

/** Where a parameter is after it was set: in force, waiting for a restart, or unknown to whoever was told. */
export type ParameterState = 'inForce' | 'pending' | undefined;

/** Awaited inside the operation: it fails when this throws. A parameter that was set is answered with its state. */
export type ServerEvents = (event: ServerEvent) => Answered | Promise<Answered>;
// biome-ignore lint/suspicious/noConfusingVoidType: whoever has nothing to say about parameters returns nothing
type Answered = ParameterState | void;
