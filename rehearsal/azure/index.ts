export type { IssuedToken, Principal } from './entra.ts';
export type { AzureRequest, AzureResponse } from './http.ts';
export {
  type Interception,
  type LocalAzure,
  type LocalAzureOptions,
  type RequestRecord,
  startLocalAzure,
} from './local-azure.ts';
export type { AzureSnapshot } from './memory.ts';
export { type Latency, type OperationRecord, quickLatency } from './operations.ts';
export type { Incidents } from './postgresql/actions.ts';
export type { ServerEvent, ServerEvents } from './postgresql/events.ts';
export { PostgresBehind } from './postgresql/postgres-behind.ts';
export { serverBehind } from './postgresql/virtual-endpoints.ts';
