export type { IssuedToken, Principal } from './core/directory.ts';
export type { AzureRequest, AzureResponse } from './core/http.ts';
export type { AzureSnapshot } from './core/memory.ts';
export { type Latency, type OperationRecord, quickLatency } from './core/operations.ts';
export {
  type Interception,
  type LocalAzure,
  type LocalAzureOptions,
  type RequestRecord,
  startLocalAzure,
} from './local-azure.ts';
export type { Incidents } from './providers/postgresql/actions.ts';
export type { ServerEvent, ServerEvents } from './providers/postgresql/events.ts';
export { PostgresBehind } from './providers/postgresql/postgres-behind.ts';
export { serverBehind } from './providers/postgresql/virtual-endpoints.ts';
