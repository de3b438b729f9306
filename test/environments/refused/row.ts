import type { RuleId } from '../../../environments/problems.ts';
import type { EnvironmentInput } from '../../../environments/settings.ts';
import { development } from '../../support/settings/development.ts';
import { production } from '../../support/settings/production.ts';

/** Settings by their path (`server.backup.retentionDays`). Undefined removes one. */
export type Change = Readonly<Record<string, unknown>>;

export interface Row {
  /** The refused settings, in a few words. */
  readonly what: string;
  /** Rule that refuses them. */
  readonly id: RuleId;
  /** @default - production */
  readonly from?: EnvironmentInput;
  readonly change: Change;
  /** Path that the problem must name. @default - the first changed path */
  readonly field?: string;
  /** Value that the problem must show. @default - the first changed value */
  readonly value?: unknown;
  /** Names and numbers that the rule's sentence must contain. @default - none beyond the rule's own */
  readonly says?: RegExp;
  readonly source: RegExp;
  readonly remedy?: RegExp;
}

export function changed(from: EnvironmentInput, change: Change): unknown {
  const copy: unknown = structuredClone(from);
  for (const [path, value] of Object.entries(change)) put(copy, path.split('.'), value);
  return copy;
}

function put(target: unknown, path: readonly string[], value: unknown): void {
  if (typeof target !== 'object' || target === null)
    throw new Error(`nothing to change at ${path.join('.')}`);
  const [key = '', ...rest] = path;
  const holder = target as Record<string, unknown>;
  if (rest.length > 0) {
    holder[key] ??= {};
    put(holder[key], rest, value);
  } else if (value === undefined) {
    delete holder[key];
  } else {
    holder[key] = value;
  }
}

function valid(from: EnvironmentInput, change: Change): EnvironmentInput {
  return changed(from, change) as EnvironmentInput;
}

/** Reachable over the internet from listed ranges. */
export const open = valid(development, {
  network: {
    mode: 'public',
    allowedRanges: [{ name: 'office', start: '20.50.10.0', end: '20.50.10.255' }],
    primary: development.network.primary,
  },
});

/** Servers injected into the networks. */
export const injected = valid(production, {
  'network.mode': 'virtualNetworkInjected',
  'network.primary.delegatedSubnet': { name: 'llama-mapper-servers', range: '10.30.2.0/24' },
  'network.recovery.delegatedSubnet': { name: 'llama-mapper-servers', range: '10.31.2.0/24' },
});

const identity = (name: string) =>
  `/subscriptions/3c9a1f52-60d4-4f0e-9d2b-5b7c1a8e4f10/resourceGroups/comply-ai-keys-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;

const keys = {
  primary: { keyId: 'https://comply-ai-cmk-eus.vault.azure.net/keys/server', identityId: identity('eastus') },
  geoBackup: {
    keyId: 'https://comply-ai-cmk-wus.vault.azure.net/keys/server',
    identityId: identity('westus'),
  },
  replica: {
    keyId: 'https://comply-ai-cmk-wus2.vault.azure.net/keys/server',
    identityId: identity('westus2'),
  },
};

/** Encrypted with customer-managed keys. */
export const encrypted = valid(production, { 'server.customerManagedKey': keys });

/** With password login beside Entra. */
export const withPassword = valid(development, {
  'server.authentication.passwordLogin': true,
  'server.authentication.administratorLogin': 'llama_admin',
  'server.authentication.passwordVersion': 1,
});

export const bases: Readonly<Record<string, EnvironmentInput>> = {
  development,
  production,
  open,
  injected,
  encrypted,
  withPassword,
};
