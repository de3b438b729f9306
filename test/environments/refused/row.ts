import { development } from '../../../environments/development.ts';
import { production } from '../../../environments/production.ts';
import type { EnvironmentInput } from '../../../environments/settings.ts';

/** Settings by their path (`server.backup.retentionDays`); undefined takes one away. */
export type Change = Readonly<Record<string, unknown>>;

export interface Row {
  /** What is refused, in a few words. */
  readonly what: string;
  /** @default - production */
  readonly from?: EnvironmentInput;
  readonly change: Change;
  /** Path the problem must name. @default - the only path changed */
  readonly field?: string;
  /** Value the problem must show. @default - the only value changed */
  readonly value?: unknown;
  readonly rule: RegExp;
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

/** Reached over the internet from listed ranges. */
export const open = valid(development, {
  network: {
    mode: 'public',
    allowedRanges: [{ name: 'office', start: '20.50.10.0', end: '20.50.10.255' }],
    primary: development.network.primary,
  },
});

/** Servers inside the networks instead of behind endpoints. */
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

/** Encrypted with keys of its own. */
export const encrypted = valid(production, { 'server.customerManagedKey': keys });

/** With a password beside Entra. */
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
