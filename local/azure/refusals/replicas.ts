/** Refusals of replicas, restores and promotions. */
import { defineRefusals, learn } from '../core/refusal.ts';

const docs = `${learn}/postgresql`;
const readReplicas = `${docs}/read-replica/concepts-read-replicas`;
const promotion = `${docs}/read-replica/concepts-read-replicas-promote`;
const backups = `${docs}/backup-restore/concepts-backup-restore`;
const upgrade = `${docs}/configure-maintain/concepts-major-version-upgrade`;

const notSupported = { status: 400, code: 'ReadReplicaNotSupported', source: readReplicas } as const;
const smaller = {
  status: 400,
  code: 'ReplicaSmallerThanPrimary',
  source: `${readReplicas}, "Scale"`,
  message: (what: string, replica: string, primary: string) =>
    `${what} of replica '${replica}' must be at least those of its primary '${primary}': scale the replica up first, and the primary down first.`,
} as const;

export const replicas = defineRefusals('Replicas, restores and promotions', {
  sourceNotFound: {
    status: 404,
    code: 'ResourceNotFound',
    rule: 'The source of a replica or restore exists',
    source: readReplicas,
    message: (source: string, name: string) => `The source server '${source}' of '${name}' was not found.`,
  },
  onBurstable: {
    ...notSupported,
    rule: 'Neither a replica nor its primary is Burstable',
    message: (replica: string) =>
      `Read replicas are not supported on the Burstable tier. (replica '${replica}')`,
  },
  tooMany: {
    ...notSupported,
    rule: 'A server has at most five replicas',
    message: (replica: string, source: string, limit: number) =>
      `Server '${source}' already has ${limit} replicas. (replica '${replica}')`,
  },
  withStandby: {
    ...notSupported,
    rule: 'A replica is created without a standby',
    message: (replica: string) => `High availability cannot be enabled on a replica. (replica '${replica}')`,
  },
  withGeoBackup: {
    ...notSupported,
    rule: 'A replica has no geo-redundant backup',
    message: (replica: string) =>
      `Geo-redundant backup cannot be enabled on a replica. (replica '${replica}')`,
  },
  withRetention: {
    ...notSupported,
    rule: 'A replica has no backups to retain',
    message: (replica: string) =>
      `Backups are not taken of a replica, so their retention cannot be chosen. (replica '${replica}')`,
  },
  withLogin: {
    ...notSupported,
    rule: 'A replica has the administrator of its primary',
    message: (replica: string, login: string) =>
      `A replica takes its administrator over from its primary; '${login}' cannot be sent. (replica '${replica}')`,
  },
  lessCompute: { ...smaller, rule: 'A replica has at least the vCores and memory of its primary' },
  lessStorage: { ...smaller, rule: 'A replica has at least the disk of its primary' },
  lowerDiskTier: { ...smaller, rule: 'A replica has at least the performance tier of its primary' },
  withoutAutoGrow: {
    status: 400,
    code: 'ReplicaAutoGrowRequired',
    rule: 'Auto-grow is on at a replica while it is on at its primary',
    source: `${readReplicas}, "Storage autogrow"`,
    message: (replica: string, primary: string) =>
      `Storage auto-grow must be on at replica '${replica}' while it is on at its primary '${primary}': enable it on the replica first, disable it on the primary first.`,
  },
  retentionChanged: {
    status: 400,
    code: 'BackupNotSupportedOnReplica',
    rule: 'The backup retention of a replica is not changed',
    source: readReplicas,
    message: (name: string) =>
      `Backups are not taken of replica '${name}', so their retention cannot be changed.`,
  },
  passwordReset: {
    status: 400,
    code: 'PasswordResetOnReplica',
    rule: 'The administrator password is not reset on a replica',
    source: `${readReplicas}, "Considerations"`,
    message: () => 'The administrator password cannot be reset on a replica.',
  },
  upgraded: {
    status: 400,
    code: 'MajorVersionUpgradeWithReplicas',
    rule: 'A major version is upgraded without replicas',
    source: upgrade,
    message: (name: string) =>
      `The major version of '${name}' cannot be upgraded while there are read replicas: delete them first.`,
  },
  primaryDeletedFirst: {
    status: 409,
    code: 'ServerHasReadReplicas',
    rule: 'A primary is deleted after its replicas',
    source: readReplicas,
    message: (name: string, replica: string) =>
      `Server '${name}' cannot be deleted before its replica '${replica}'.`,
  },
  restoreFromReplica: {
    status: 400,
    code: 'RestoreFromReplica',
    rule: 'A restore is made from a server with backups',
    source: backups,
    message: (name: string) => `A replica ('${name}') has no backups to restore.`,
  },
  geoRestoreWithoutBackup: {
    status: 400,
    code: 'GeoRestoreNotSupported',
    rule: 'A geo-restore needs geo-redundant backup',
    source: backups,
    message: (name: string) => `Server '${name}' has no geo-redundant backup.`,
  },
  restoreTimeOutOfRange: {
    status: 400,
    code: 'InvalidPointInTime',
    rule: 'A restore is to a time between the first backup and now',
    source: backups,
    message: (name: string, earliest: string, time: string) =>
      `Server '${name}' can be restored to a time from ${earliest} until now, not to '${time}'.`,
  },
  roleUnknown: {
    status: 400,
    code: 'InvalidReplicationRole',
    rule: 'A promotion gives the role None or Primary',
    source: promotion,
    message: (role: string) => `A server cannot be given the role '${role}'.`,
  },
  notAReplica: {
    status: 400,
    code: 'NotAReplica',
    rule: 'Only a replica is promoted',
    source: promotion,
    message: (name: string) => `Server '${name}' is not a replica and cannot be promoted.`,
  },
  promotionWithPassword: {
    status: 400,
    code: 'PasswordResetWithPromotion',
    rule: 'A promotion and a new password are two requests',
    source: promotion,
    message: () => 'A promotion and a new administrator password cannot be one request.',
  },
  switchoverWithoutEndpoint: {
    status: 400,
    code: 'VirtualEndpointRequired',
    rule: 'A switchover needs a virtual endpoint whose reader is the replica',
    source: `${promotion}; ${docs}/read-replica/concepts-read-replicas-virtual-endpoints`,
    message: (replica: string) => `A switchover needs a virtual endpoint whose reader is '${replica}'.`,
  },
  notSymmetrical: {
    status: 400,
    code: 'ServersAreNotSymmetrical',
    rule: 'The servers of a switchover have equal tier, vCores, memory and disk',
    source: `${promotion}, "Server Symmetry"`,
    message: (primary: string, replica: string, what: string) =>
      `'${primary}' and '${replica}' differ in ${what}.`,
  },
});
