/** Llama Mapper's database for applications. */
export {
  CredentialError,
  type CredentialProblem,
  type EntraPasswordOptions,
  entraPassword,
  type Token,
  type TokenCredential,
} from './credentials.ts';
export { ConfigurationError, ExplainedError } from './errors.ts';
export { asApplication, type TransactionOptions, transaction } from './tenant.ts';
