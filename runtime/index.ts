/** Llama Mapper's database for applications. */
export { fromEnvironment, type Variables } from './configuration/environment.ts';
export type {
  BreakerOptions,
  CellOptions,
  DatabaseOptions,
  PoolOptions,
  ReplicaOptions,
  RetryOptions,
  ServerOptions,
  SharedOptions,
  SpreadOptions,
  TimeoutOptions,
} from './configuration/options.ts';
export {
  fromOutputs,
  fromOutputsFile,
  fromTerraform,
  type OutputOptions,
  type TerraformOptions,
} from './configuration/outputs.ts';
export { Secret } from './configuration/secret.ts';
export {
  CredentialError,
  type CredentialProblem,
  type EntraPasswordOptions,
  entraPassword,
  type Token,
  type TokenCredential,
} from './credentials.ts';
export { type CellListenOptions, type CloseOptions, Database, type DatabaseGauges } from './database.ts';
export {
  ConfigurationError,
  DatabaseFailure,
  ExplainedError,
  type FailureOptions,
  isDatabaseFailure,
  type Outcome,
} from './errors.ts';
export type { ListenerGauges, ListenOptions, Notification, Subscription } from './pool/listener.ts';
export type { PoolGauges } from './pool/pool.ts';
export type { BreakerState, TargetGauges } from './pool/target.ts';
export type { CellGauges, ReplicaGauges } from './replicas/cell.ts';
export type { Lsn } from './replicas/lsn.ts';
export type { ReplicaState } from './replicas/replica.ts';
export type { TenantClient } from './tenant/client.ts';
export { asApplication, type SessionOptions, transaction } from './tenant/on-client.ts';
export type { ReadOptions, Tenant, TransactionOptions } from './tenant/tenant.ts';
export type { Actor, Isolation } from './tenant/transaction.ts';
