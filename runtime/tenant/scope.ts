/**
 * The tenant transactions that surround the running code.
 *
 * Two copies of this package in one process (ESM and CJS, or two versions) share one store, kept under a global symbol: with a
 * store each, code of the second copy would see no transaction and could work outside of it.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { TenantClient } from './client.ts';

/** A transaction that is open now, or was. Copies of other versions read it: only add optional properties. */
export interface OpenTransaction {
  /** Server, database and login; `host:port/database` and the user. */
  readonly key: string;
  readonly tenant: string;
  readonly isReadOnly: boolean;
  readonly client: TenantClient;
  isOpen: boolean;
  /** The failure of a nested transaction, after which the outer one must not commit. */
  failure?: { readonly reason: unknown };
  /** The surrounding transaction on another server. */
  readonly outer: OpenTransaction | undefined;
}

const symbol = Symbol.for('@llama-mapper/database/transactions/1');

function store(): AsyncLocalStorage<OpenTransaction> {
  const known: unknown = Reflect.get(globalThis, symbol);
  if (known instanceof AsyncLocalStorage) return known as AsyncLocalStorage<OpenTransaction>;
  const made = new AsyncLocalStorage<OpenTransaction>();
  Object.defineProperty(globalThis, symbol, { value: made });
  return made;
}

/** The surrounding open transaction on the same server, database and login. */
export function surrounding(key: string): OpenTransaction | undefined {
  for (let one = store().getStore(); one; one = one.outer) if (one.isOpen && one.key === key) return one;
  return undefined;
}

/** The innermost open transaction, on any server. */
export function innermost(): OpenTransaction | undefined {
  for (let one = store().getStore(); one; one = one.outer) if (one.isOpen) return one;
  return undefined;
}

/** Runs `work` inside of a transaction. */
export function inside<Result>(transaction: OpenTransaction, work: () => Promise<Result>): Promise<Result> {
  return store().run(transaction, work);
}
