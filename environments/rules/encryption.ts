/** Keys: the server's own (customer-managed) and the one that wraps the tenants' data keys. */
import { longestDays, parseDuration, shortestDays } from '../duration.ts';
import type { Candidate } from '../resolved.ts';
import { check, defineRules, type Finding, urls } from '../rule.ts';

const keyId =
  /^https:\/\/[a-z0-9-]{3,24}\.(vault|managedhsm)\.azure\.net\/keys\/[A-Za-z0-9-]{1,127}(\/[0-9a-f]{32})?$/i;
const identityId =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[^/]+$/i;

const keysSource = 'https://learn.microsoft.com/azure/key-vault/keys/about-keys';

/** Bits of an RSA key. */
const keySizes = [2048, 3072, 4096];

/** Days between the creation of a key and its rotation, and between its rotation and its expiry. */
const shortestRotationDays = 7;

/** Days that a version of a key lives. */
const shortestLifeDays = 28;

/** Days that Azure keeps a deleted vault. */
const softDeleteDays = { minimum: 7, maximum: 90 } as const;

type Keys = NonNullable<Candidate['server']['customerManagedKey']>;

const at = 'server.customerManagedKey';

function keyFindings(
  { server: { customerManagedKey: keys } }: Candidate,
  part: 'keyId' | 'identityId',
  shape: RegExp,
): readonly Finding[] {
  return (['primary', 'geoBackup', 'replica'] as const).flatMap((name) => {
    const value = keys?.[name]?.[part];
    return check(value === undefined || shape.test(value), `${at}.${name}.${part}`, value);
  });
}

function host(id: string): string {
  return /^https:\/\/([^/]+)\//i.exec(id)?.[1]?.toLowerCase() ?? id;
}

/** The keys of other regions that the settings can have, each with what needs it. */
function regionalKeys({ location, server, replica }: Candidate) {
  const keys: Partial<Keys> = server.customerManagedKey ?? {};
  return [
    {
      field: `${at}.geoBackup`,
      key: keys.geoBackup,
      needed: server.backup.geoRedundant,
      user: 'geo-redundant backup',
      place: 'the paired region',
      elsewhere: true,
    },
    {
      field: `${at}.replica`,
      key: keys.replica,
      needed: replica !== undefined,
      user: 'the replica',
      place: "the replica's region",
      elsewhere: replica?.location !== location,
    },
  ] as const;
}

function missingKey(candidate: Candidate, wanted: string): readonly Finding[] {
  if (!candidate.server.customerManagedKey) return [];
  return regionalKeys(candidate)
    .filter(({ field }) => field === wanted)
    .flatMap(({ field, key, needed }) => check(!needed || key !== undefined, field, undefined));
}

const missingKeyRemedy = 'Azure accepts the key only when the server is created.';

export const encryptionRules = defineRules({
  'encryption/key-id': {
    rule: 'a key is named by its address: https://NAME.vault.azure.net/keys/KEY, with or without a version',
    source: urls.encryption,
    check: (candidate) => keyFindings(candidate, 'keyId', keyId),
  },

  'encryption/identity-id': {
    rule: 'the identity that unwraps is named by the resource id of a user-assigned identity',
    source: urls.encryption,
    check: (candidate) => keyFindings(candidate, 'identityId', identityId),
  },

  'encryption/geo-backup-key': {
    rule: 'a server encrypted with your own key needs another key in the paired region for geo-redundant backup',
    source: urls.encryption,
    remedy: missingKeyRemedy,
    check: (candidate) => missingKey(candidate, `${at}.geoBackup`),
  },

  'encryption/replica-key': {
    rule: "a server encrypted with your own key needs a key in the replica's region for the replica",
    source: urls.encryption,
    remedy: missingKeyRemedy,
    check: (candidate) => missingKey(candidate, `${at}.replica`),
  },

  'encryption/key-is-used': {
    rule: 'a key is set only for a backup or a replica that the settings have',
    source: 'environments/settings.ts',
    check: (candidate) =>
      regionalKeys(candidate).flatMap(({ field, key, needed, user }) =>
        check(needed || key === undefined, field, key?.keyId, {
          rule: `this key is for ${user}, which the settings do not have`,
        }),
      ),
  },

  'encryption/key-in-another-vault': {
    rule: "the key of another region is not in the primary's vault",
    source: urls.encryption,
    check: (candidate) => {
      const primary = candidate.server.customerManagedKey?.primary.keyId;
      return regionalKeys(candidate).flatMap(({ field, key, needed, user, place, elsewhere }) => {
        if (!needed || !elsewhere || !key || primary === undefined) return [];
        return check(host(key.keyId) !== host(primary), `${field}.keyId`, key.keyId, {
          rule: `the key for ${user} is in a vault of ${place}, not in the primary's vault`,
        });
      });
    },
  },

  'encryption/hardware-key': {
    rule: 'only premium vaults hold hardware keys (RSA-HSM)',
    source: keysSource,
    check: ({ keyVault: { sku, fieldEncryptionKey } }) => {
      const { type } = fieldEncryptionKey;
      return check(type !== 'RSA-HSM' || sku === 'premium', 'keyVault.fieldEncryptionKey.type', type, {
        rule: `only premium vaults hold hardware keys, and keyVault.sku is ${sku}`,
      });
    },
  },

  'encryption/key-size': {
    rule: `an RSA key has one of the sizes ${keySizes.join(', ')} bits`,
    source: keysSource,
    check: ({ keyVault: { fieldEncryptionKey } }) => {
      const { size } = fieldEncryptionKey;
      return check(keySizes.includes(size), 'keyVault.fieldEncryptionKey.size', size);
    },
  },

  'encryption/key-duration': {
    rule: 'a period is an ISO 8601 duration of whole days or longer, like P90D, P18M or P2Y',
    source: urls.keyVault,
    check: ({ keyVault: { fieldEncryptionKey } }) =>
      (['rotateAfter', 'expireAfter'] as const).flatMap((part) => {
        const text = fieldEncryptionKey[part];
        return check(parseDuration(text) !== undefined, `keyVault.fieldEncryptionKey.${part}`, text);
      }),
  },

  'encryption/key-life': {
    rule: `a version of a key lives at least ${shortestLifeDays} days`,
    source: urls.keyVault,
    check: ({ keyVault: { fieldEncryptionKey } }) => {
      const { rotate, expire } = durations(fieldEncryptionKey);
      if (!rotate || !expire) return [];
      const holds = shortestDays(expire) >= shortestLifeDays;
      return check(holds, 'keyVault.fieldEncryptionKey.expireAfter', fieldEncryptionKey.expireAfter);
    },
  },

  'encryption/first-rotation': {
    rule: `a key rotates at least ${shortestRotationDays} days after its creation`,
    source: urls.keyVault,
    check: ({ keyVault: { fieldEncryptionKey } }) => {
      const { rotate, expire } = durations(fieldEncryptionKey);
      if (!rotate || !expire || shortestDays(expire) < shortestLifeDays) return [];
      const holds = shortestDays(rotate) >= shortestRotationDays;
      return check(holds, 'keyVault.fieldEncryptionKey.rotateAfter', fieldEncryptionKey.rotateAfter);
    },
  },

  'encryption/rotation-before-expiry': {
    rule: `a key rotates at least ${shortestRotationDays} days before its version expires`,
    source: urls.keyVault,
    check: ({ keyVault: { fieldEncryptionKey } }) => {
      const { rotate, expire } = durations(fieldEncryptionKey);
      if (!rotate || !expire || shortestDays(expire) < shortestLifeDays) return [];
      const { rotateAfter, expireAfter } = fieldEncryptionKey;
      const holds = longestDays(rotate) + shortestRotationDays <= shortestDays(expire);
      return check(holds, 'keyVault.fieldEncryptionKey.rotateAfter', rotateAfter, {
        rule: `a key rotates at least ${shortestRotationDays} days before its version expires (expireAfter is ${expireAfter})`,
      });
    },
  },

  'encryption/soft-delete': {
    rule: `Azure keeps a deleted vault for ${softDeleteDays.minimum} to ${softDeleteDays.maximum} days, and the number cannot change later`,
    source: urls.softDelete,
    check: ({ keyVault: { softDeleteRetentionDays: days } }) => {
      const holds = days >= softDeleteDays.minimum && days <= softDeleteDays.maximum;
      return check(holds, 'keyVault.softDeleteRetentionDays', days);
    },
  },
});

function durations({ rotateAfter, expireAfter }: Candidate['keyVault']['fieldEncryptionKey']) {
  return { rotate: parseDuration(rotateAfter), expire: parseDuration(expireAfter) };
}
