/** Keys: the server's own (customer-managed) and the one that wraps the tenants' data keys. */
import type { EnvironmentSettings } from '../settings.ts';
import { longestDays, parseDuration, shortestDays } from './duration.ts';
import { check, type Finding, finding, type Rule, urls } from './rule.ts';

const keyId =
  /^https:\/\/[a-z0-9-]{3,24}\.(vault|managedhsm)\.azure\.net\/keys\/[A-Za-z0-9-]{1,127}(\/[0-9a-f]{32})?$/i;
const identityId =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[^/]+$/i;

type Keys = NonNullable<EnvironmentSettings['server']['customerManagedKey']>;
type Part = keyof Keys;

const at = (part: Part) => `server.customerManagedKey.${part}`;

const references: Rule = ({ server: { customerManagedKey: keys } }) => {
  if (!keys) return [];
  return (['primary', 'geoBackup', 'replica'] as const).flatMap((part) => {
    const key = keys[part];
    if (!key) return [];
    return [
      ...check(keyId.test(key.keyId), `${at(part)}.keyId`, key.keyId, {
        rule: 'a key is named by its address: https://NAME.vault.azure.net/keys/KEY, with or without a version',
        source: urls.encryption,
      }),
      ...check(identityId.test(key.identityId), `${at(part)}.identityId`, key.identityId, {
        rule: 'the identity that unwraps is named by the resource id of a user-assigned identity',
        source: urls.encryption,
      }),
    ];
  });
};

function host(id: string): string {
  return /^https:\/\/([^/]+)\//i.exec(id)?.[1]?.toLowerCase() ?? id;
}

function regionalKey(
  keys: Keys,
  part: 'geoBackup' | 'replica',
  needed: boolean,
  because: string,
  where: string,
): readonly Finding[] {
  const key = keys[part];
  if (!needed) {
    return check(key === undefined, at(part), key?.keyId, {
      rule: `this key is for ${because}, which is not there`,
      source: urls.encryption,
    });
  }
  if (!key) {
    return [
      finding(at(part), undefined, {
        rule: `a server encrypted with your own key needs another one in ${where} for ${because}`,
        source: urls.encryption,
        remedy: 'It can only be given when the server is created.',
      }),
    ];
  }
  return check(host(key.keyId) !== host(keys.primary.keyId), `${at(part)}.keyId`, key.keyId, {
    rule: `the key for ${because} is in a vault of ${where}, so not in the primary’s vault`,
    source: urls.encryption,
  });
}

const regionalKeys: Rule = ({ server, replica }) => {
  const keys = server.customerManagedKey;
  if (!keys) return [];
  return [
    ...regionalKey(
      keys,
      'geoBackup',
      server.backup.geoRedundant,
      'geo-redundant backup',
      'the paired region',
    ),
    ...regionalKey(keys, 'replica', replica !== undefined, 'the replica', 'the replica’s region'),
  ];
};

const hardware: Rule = ({ keyVault }) =>
  check(
    keyVault.fieldEncryptionKey.type !== 'RSA-HSM' || keyVault.sku === 'premium',
    'keyVault.fieldEncryptionKey.type',
    keyVault.fieldEncryptionKey.type,
    {
      rule: `hardware keys are in premium vaults only, and keyVault.sku is ${keyVault.sku}`,
      source: 'https://learn.microsoft.com/azure/key-vault/keys/about-keys',
    },
  );

const size: Rule = ({ keyVault }) =>
  check(
    [2048, 3072, 4096].includes(keyVault.fieldEncryptionKey.size),
    'keyVault.fieldEncryptionKey.size',
    keyVault.fieldEncryptionKey.size,
    {
      rule: 'an RSA key has 2048, 3072 or 4096 bits',
      source: 'https://learn.microsoft.com/azure/key-vault/keys/about-keys',
    },
  );

const rotation: Rule = ({ keyVault: { fieldEncryptionKey: key } }) => {
  const field = 'keyVault.fieldEncryptionKey';
  const [rotate, expire] = [parseDuration(key.rotateAfter), parseDuration(key.expireAfter)];
  const notation = {
    rule: 'a period is an ISO 8601 duration of whole days or longer, like P90D, P18M or P2Y',
    source: urls.keyVault,
  };
  if (!rotate || !expire) {
    return [
      ...check(rotate !== undefined, `${field}.rotateAfter`, key.rotateAfter, notation),
      ...check(expire !== undefined, `${field}.expireAfter`, key.expireAfter, notation),
    ];
  }
  if (shortestDays(expire) < 28) {
    return [
      finding(`${field}.expireAfter`, key.expireAfter, {
        rule: 'a key’s version lives 28 days or longer',
        source: urls.keyVault,
      }),
    ];
  }
  return [
    ...check(shortestDays(rotate) >= 7, `${field}.rotateAfter`, key.rotateAfter, {
      rule: 'a key rotates seven days after its creation or later',
      source: urls.keyVault,
    }),
    ...check(longestDays(rotate) + 7 <= shortestDays(expire), `${field}.rotateAfter`, key.rotateAfter, {
      rule: `a key rotates at least seven days before its version expires (expireAfter is ${key.expireAfter})`,
      source: urls.keyVault,
    }),
  ];
};

const softDelete: Rule = ({ keyVault }) =>
  check(
    keyVault.softDeleteRetentionDays >= 7 && keyVault.softDeleteRetentionDays <= 90,
    'keyVault.softDeleteRetentionDays',
    keyVault.softDeleteRetentionDays,
    {
      rule: 'a deleted vault is kept 7 to 90 days, and the number cannot be changed later',
      source: urls.softDelete,
    },
  );

export const encryptionRules: readonly Rule[] = [
  references,
  regionalKeys,
  hardware,
  size,
  rotation,
  softDelete,
];
