/** What happens to a server and has to happen to the PostgreSQL behind it as well. */
export type ServerEvent =
  | {
      readonly kind: 'created';
      readonly server: string;
      /** Whether Entra authentication is on. */
      readonly entra: boolean;
    }
  | { readonly kind: 'deleted' | 'restarted'; readonly server: string }
  | { readonly kind: 'parameterSet'; readonly server: string; readonly name: string; readonly value: string }
  | {
      readonly kind: 'databaseCreated' | 'databaseDeleted';
      readonly server: string;
      readonly database: string;
    };

/** Awaited inside the operation: it fails when this throws. */
export type ServerEvents = (event: ServerEvent) => void | Promise<void>;
