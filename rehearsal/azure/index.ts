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
export { postgresBehind } from './postgres-behind.ts';
export type { ServerEvent, ServerEvents } from './server-events.ts';
