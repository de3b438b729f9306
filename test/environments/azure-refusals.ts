/**
 * What Azure refuses, as far as the local Azure plays it, beside the rules about settings: for each refusal the rules that
 * keep settings from causing it, or the reason why no setting can.
 */
import type { RuleId } from '../../environments/problems.ts';

/** Reasons why settings alone do not decide a refusal. */
const deployed = 'it depends on what Azure has at the time, which the settings do not say';
/** stacks/transitions.ts compares the settings with what exists. */
const planned = 'a condition refuses it in the plan, before anything changes';
const built = 'the stack sends no such request, whatever the settings are';
const identity = 'it depends on who asks';
const operation = 'it answers an action, a read or a deletion that no setting causes';
const data = 'it answers a data plane, which no setting describes';

type Answer =
  | typeof deployed
  | typeof planned
  | typeof built
  | typeof identity
  | typeof operation
  | typeof data
  | readonly [RuleId, ...RuleId[]];

/** The answer for each of several refusals of an area. */
function all(area: string, answer: Answer, names: string): Record<string, Answer> {
  return Object.fromEntries(names.split(' ').map((name) => [`${area}: ${name}`, answer]));
}

function each(area: string, rows: Readonly<Record<string, Answer>>): Record<string, Answer> {
  return Object.fromEntries(Object.entries(rows).map(([name, answer]) => [`${area}: ${name}`, answer]));
}

export const answers: Readonly<Record<string, Answer>> = {
  ...all('Every request', identity, 'invalidAuthenticationToken subscriptionNotFound throttled'),
  ...all('Every request', built, 'invalidRequestContent parentResourceNotFound'),
  ...all('Every request', operation, 'operationNotFound resourceNotFound invalidFilter'),
  ...all('Every request', deployed, 'scopeLocked invalidResourceGroupLocation resourceGroupNotFound'),
  ...each('Every request', {
    reservedResourceName: ['names/reserved-word'],
    invalidResourceName: [
      'names/resource-group',
      'names/virtual-network',
      'names/subnet',
      'names/private-dns-zone',
      'names/virtual-endpoint',
      'names/database',
      'names/firewall-rule',
      'names/key',
      'names/action-group',
      'names/backup-vault',
      'names/budget',
      'names/container',
      'names/post-deploy-job',
    ],
  }),

  ...all(
    'Signing in',
    identity,
    'tenantNotFound applicationNotFound secretExpired invalidSecret noFederatedCredential assertionExpired',
  ),
  ...all('Microsoft Graph', identity, 'graphResourceNotFound'),
  ...all(
    'Roles and rights',
    identity,
    'authorizationFailed linkedAuthorizationFailed roleDefinitionNotFound roleNameTaken principalNotFound',
  ),
  ...all('Roles and rights', built, 'assignmentUpdateNotPermitted'),
  ...all('Roles and rights', deployed, 'assignmentExists'),

  ...each('Flexible Server', {
    nameNotValid: ['names/server'],
    // Names of other customers are known to Azure alone.
    nameTaken: ['across/server-name'],
    regionUnknown: ['compute/known-region'],
    skuUnknown: ['compute/known-sku'],
    versionNotOffered: ['compute/supported-version'],
    zoneRedundancyWithoutZones: ['compute/zone-redundancy'],
    zoneWithoutZones: ['compute/region-has-zones'],
    zoneUnknown: ['compute/zone-name'],
    standbyOnBurstable: ['compute/burstable-without-standby'],
    standbyInSameZone: ['compute/standby-in-another-zone', 'compute/standby-beside-zone'],
    standbyInAnotherZone: ['compute/standby-in-the-same-zone', 'compute/standby-beside-zone'],
    diskSizeUnknown: ['compute/disk-size'],
    diskTierUnknown: ['compute/disk-tier'],
    retentionOutOfRange: ['compute/backup-retention'],
    geoBackupWithoutPair: ['compute/geo-backup-pair'],
    geoBackupWithoutKey: ['encryption/geo-backup-key'],
    windowOutOfRange: ['compute/maintenance-window'],
    loginWithoutPasswords: ['authentication/password-settings-without-login'],
    loginMissing: ['authentication/password-login-name'],
    loginReserved: ['authentication/administrator-login-name'],
    zoneOfAnotherSuffix: ['network/injected-zone'],
    zoneOfServersName: ['network/injected-zone-name'],
    subnetTooSmall: ['network/delegated-subnet-size'],
    subnetNotDelegated: ['network/delegated-subnet'],
  }),
  ...all(
    'Flexible Server',
    deployed,
    'busy notReady diskShrinks diskTierLoweredTwice geoBackupChanged ' +
      'loginChanged versionLowered propertyImmutable zoneChangedWithStandby networkInAnotherRegion',
  ),
  ...all('Flexible Server', planned, 'standbyModeSwitched standbyWithTierChange'),
  ...all(
    'Flexible Server',
    built,
    'noAuthentication standbyOnReplica throughputOfPremiumDisk windowAtCreation roleAtCreation ' +
      'keyIdentityNotAttached zoneWithoutSubnet subnetWithoutZone publicAccessWhenInjected',
  ),
  ...all(
    'Flexible Server',
    operation,
    'notStopped regionWithoutCapabilities failoverWithoutStandby diskDoesNotGrow',
  ),
  // The password is a variable of the deployment.
  ...all('Flexible Server', identity, 'passwordWeak'),

  ...each('Container Apps', {
    subnetTooSmall: ['network/job-subnet-size'],
    resourcesNotOffered: ['job/cpu'],
  }),
  ...all('Container Apps', built, 'subnetNotDelegated environmentNotFound identityNotAssigned'),
  ...all('Container Apps', deployed, 'subnetInUse'),
  ...all('Container Apps', operation, 'environmentInUse'),

  ...each('Parts of a Flexible Server', {
    databaseReserved: ['names/database-is-not-built-in'],
    firewallRuleOfPrivateServer: ['shape/known-setting'],
    firewallRuleNotValid: ['network/firewall-address', 'network/range-order'],
    parameterUnknown: [
      'parameters/known',
      'parameters/version',
      'parameters/pooler-is-on',
      'compute/burstable-without-pooler',
    ],
    parameterReadOnly: ['parameters/settable'],
    parameterValueNotValid: [
      'parameters/value',
      'parameters/pooler-limits',
      'parameters/known-extension',
      'parameters/extension-version',
      'parameters/library-is-not-an-extension',
    ],
    parameterBelowPrimary: ['replica/inherited-limits'],
    endpointNameTaken: ['across/virtual-endpoint-name'],
  }),
  ...all(
    'Parts of a Flexible Server',
    built,
    'entraLoginOff administratorOfAnotherTenant parameterNotText endpointWithTwoReaders',
  ),
  // After a switchover in Azure, until `writer` says so too.
  ...all(
    'Parts of a Flexible Server',
    deployed,
    'replicaReadOnly endpointOnReplica secondEndpoint endpointOfStranger',
  ),
  ...all(
    'Parts of a Flexible Server',
    operation,
    'databasePostgresDeleted backupOfReplica backupIsAutomatic',
  ),

  ...each('Replicas, restores and promotions', {
    onBurstable: ['compute/burstable-without-replica', 'replica/enough-compute', 'replica/same-compute'],
    lessCompute: ['replica/enough-compute', 'replica/same-compute'],
    lessStorage: ['replica/enough-disk', 'replica/same-disk-size'],
    lowerDiskTier: ['replica/disk-tier'],
    withoutAutoGrow: ['replica/disk-grows'],
    switchoverWithoutEndpoint: ['replica/writer-has-endpoint'],
    notSymmetrical: ['replica/same-compute', 'replica/same-disk-size', 'replica/disk-tier'],
  }),
  ...all('Replicas, restores and promotions', deployed, 'sourceNotFound tooMany primaryDeletedFirst'),
  ...all('Replicas, restores and promotions', planned, 'upgraded'),
  ...all(
    'Replicas, restores and promotions',
    built,
    'withStandby withGeoBackup withRetention withLogin retentionChanged passwordReset',
  ),
  ...all(
    'Replicas, restores and promotions',
    operation,
    'restoreFromReplica geoRestoreWithoutBackup restoreTimeOutOfRange roleUnknown notAReplica promotionWithPassword',
  ),

  ...each('Networks', {
    subnetOutsideNetwork: ['network/subnet-inside'],
    subnetsOverlap: ['network/subnets-apart'],
    subnetIsFull: ['network/subnet-size'],
    endpointOfInjectedServer: ['network/delegated-subnet-is-used'],
    linkedTwice: ['across/private-dns-link', 'across/zone-of-network'],
    overlappingZones: ['across/zone-of-network'],
  }),
  ...all('Networks', built, 'securityRuleConflict subnetDelegated privateLinkNotFound invalidGroupId'),
  // An adopted network or zone may be absent.
  ...all('Networks', deployed, 'referenceNotFound zoneOfGroupNotFound linkedNetworkNotFound'),
  ...all('Networks', deployed, 'subnetInUse securityGroupInUse zoneHasLinks'),

  ...each('Key Vault', {
    nameNotValid: ['names/key-vault'],
    nameTaken: ['across/key-vault-name'],
    hardwareKeyNeedsPremium: ['encryption/hardware-key'],
  }),
  ...all('Key Vault', deployed, 'nameInDeletedState recoveredElsewhere retentionImmutable'),
  ...all('Key Vault', built, 'purgeProtectionIrreversible'),
  ...all('Key Vault', operation, 'deletedVaultNotFound purgeProtected'),
  ...all(
    'Key Vault, data plane',
    data,
    'vaultNotFound unauthorized forbiddenByConnection forbiddenByRbac keyNotFound operationForbidden keyDisabled ' +
      'keyExpired algorithmNotSupported badParameter',
  ),

  ...each('Monitoring and cost', {
    workspaceNameNotValid: ['names/workspace'],
    metricOfBurstable: ['compute/known-sku'],
    receiverNamedTwice: ['operations/alert-receivers-are-distinct'],
    webhookNotValid: ['operations/alert-webhook'],
  }),
  ...all(
    'Monitoring and cost',
    built,
    'diagnosticsNotSupported categoryNotSupported alertScopeNotFound actionGroupNotFound metricNotFound ' +
      'aggregationNotSupported budgetStartOutOfRange budgetStartNotFirstOfMonth logMutedAndResolved ' +
      'logMutedTooShortly logWindowTooShort',
  ),
  ...all(
    'Monitoring and cost',
    deployed,
    'workspaceNotFound archiveNotFound archiveInAnotherRegion sinkAlreadyUsed',
  ),
  ...all('Monitoring and cost', operation, 'metricConfigurationNotFound readAggregationNotSupported'),

  ...all(
    'Long-term backup',
    built,
    'redundancyNotOffered dataSourceNotFound policyNotFound missingPermissions vaultInAnotherRegion',
  ),
  ...all('Long-term backup', built, 'policyInUse'),
  ...all('Long-term backup', deployed, 'vaultProtectsInstances'),
  ...all('Template deployments', operation, 'deploymentNotFound'),
  ...all(
    'Template deployments',
    built,
    'parameterNotGiven nameNotFound referenceNotFound dependencyNotDefined dependenciesCircular',
  ),
  ...each('Template deployments', { dateNotValid: ['encryption/key-duration'] }),
  ...each('Storage accounts', {
    nameNotValid: ['names/storage-account'],
    nameTaken: ['across/state-account'],
  }),
  ...all('Storage accounts', built, 'redundancyNotOffered'),
  ...all(
    'Blob storage',
    data,
    'noAuthentication permissionMismatch containerNotFound blobNotFound leaseIdMissing leaseIdMismatch ' +
      'leaseAlreadyPresent leaseIdMismatchOfLease leaseActionUnknown',
  ),
};

const provider = 'azurerm checks it before it asks Azure';
const notPlayed = 'the local Azure keeps the value and judges nothing by it';
const misleading = 'Azure accepts it, and names would lead nowhere';
const sameResource = 'Azure takes the second for a change of the first';

function reasoned(reason: string, ids: string): Record<string, string> {
  return Object.fromEntries(ids.split(' ').map((id) => [id, reason]));
}

/** Rules with Azure's page as their source that no refusal of the local Azure answers, each with the reason. */
export const rulesWithoutRefusal: Readonly<Record<string, string>> = {
  ...reasoned(
    provider,
    'authentication/tenant-id authentication/object-id encryption/key-id encryption/identity-id encryption/key-size ' +
      'encryption/soft-delete replica/virtual-endpoint-has-replica',
  ),
  ...reasoned(
    notPlayed,
    'job/image-by-digest job/identity-id names/action-group-short-name names/state-blob compute/burstable-without-query-store ' +
      'compute/long-term-backup-size network/usable-space network/ranges-apart network/networks-apart ' +
      'encryption/replica-key encryption/key-in-another-vault encryption/key-life encryption/first-rotation ' +
      'encryption/rotation-before-expiry parameters/extension-is-there operations/log-quota ' +
      'operations/alert-address operations/alert-telephone operations/archive-id operations/recovery-archive ' +
      'operations/budget-amount ' +
      'operations/budget-address operations/long-term-retention operations/tag-count operations/tag-name ' +
      'operations/tag-value operations/tags-are-distinct',
  ),
  ...reasoned(misleading, 'network/postgresql-endpoint-zone network/key-vault-zone'),
  ...reasoned(sameResource, 'network/firewall-rules-are-distinct authentication/access-is-given-once'),
};
