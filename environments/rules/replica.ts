/** A replica and its primary: what must differ, what must match, and what a switchover needs. */
import { parameter, parametersInheritedByStandby } from '../../azure/parameters.ts';
import { parseSku } from '../../azure/skus.ts';
import { storageTierRank, storageTiers } from '../../azure/storage.ts';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { maxConnections } from '../connections.ts';
import type { EnvironmentSettings } from '../settings.ts';
import { check, type Finding, finding, type Rule, urls } from './rule.ts';

const promotion = 'https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas-promote';

const elsewhere: Rule = ({ location, recoveryLocation, replica }) => {
  const apart = check(
    recoveryLocation === undefined || recoveryLocation !== location,
    'recoveryLocation',
    recoveryLocation,
    { rule: `the recovery region is not the primary’s (${location})`, source: urls.replicas },
  );
  if (!replica) return apart;
  if (replica.location === location) {
    return [
      finding('replica.location', replica.location, {
        rule: `a replica is in another region than its primary (${location}): it is there for the loss of that region`,
        source: urls.replicas,
        remedy: 'High availability within the region is server.highAvailability.',
      }),
    ];
  }
  return [
    ...apart,
    ...check(replica.location === recoveryLocation, 'replica.location', replica.location, {
      rule: `a replica is in the recovery region, where its network and resource group are (recoveryLocation is ${recoveryLocation ?? 'not set'})`,
      source: 'environments/settings.ts',
    }),
  ];
};

/** Exactly the same where a switchover is meant to happen, otherwise at least as much. */
const compute: Rule = ({ server, replica, virtualEndpoint }) => {
  if (replica?.sku === undefined) return [];
  const [mine, theirs] = [parseSku(server.sku), parseSku(replica.sku)];
  if (!mine || !theirs) return [];
  if (virtualEndpoint) {
    const same =
      theirs.tier === mine.tier && theirs.vCores === mine.vCores && theirs.memoryGb === mine.memoryGb;
    return check(same, 'replica.sku', replica.sku, {
      rule: `a replica that may be promoted has the primary’s tier, vCores and memory (${server.sku})`,
      source: promotion,
    });
  }
  const enough =
    theirs.tier !== 'Burstable' && theirs.vCores >= mine.vCores && theirs.memoryGb >= mine.memoryGb;
  return check(enough, 'replica.sku', replica.sku, {
    rule: `a replica has at least the primary’s vCores and memory (${server.sku}) and is not Burstable, or it falls behind for ever`,
    source: urls.replicas,
  });
};

const disk: Rule = ({ server, replica, virtualEndpoint }) => {
  if (!replica?.storage) return [];
  const [mine, theirs] = [server.storage, replica.storage];
  const findings: Finding[] = [
    ...check(
      virtualEndpoint ? theirs.sizeGb === mine.sizeGb : theirs.sizeGb >= mine.sizeGb,
      'replica.storage.sizeGb',
      theirs.sizeGb,
      {
        rule: virtualEndpoint
          ? `a replica that may be promoted has a disk of the primary’s size (${mine.sizeGb})`
          : `a replica’s disk is at least as large as the primary’s (${mine.sizeGb})`,
        source: virtualEndpoint ? promotion : urls.replicas,
      },
    ),
    ...check(theirs.autoGrow || !mine.autoGrow, 'replica.storage.autoGrow', theirs.autoGrow, {
      rule: 'a replica’s disk grows by itself when the primary’s does: otherwise the primary outgrows it',
      source: urls.replicas,
    }),
  ];
  const [mineTier, theirTier] = [effectiveTier(mine), effectiveTier(theirs)];
  if (mineTier !== undefined && theirTier !== undefined) {
    const fits = virtualEndpoint
      ? theirTier === mineTier
      : storageTierRank(theirTier) >= storageTierRank(mineTier);
    // A disk of another size is already refused, and its tier differs because of that.
    if (theirs.sizeGb === mine.sizeGb) {
      findings.push(
        ...check(fits, 'replica.storage.tier', theirTier, {
          rule: `a replica’s disk has ${virtualEndpoint ? '' : 'at least '}the primary’s performance tier (${mineTier})`,
          source: virtualEndpoint ? promotion : urls.replicas,
        }),
      );
    }
  }
  return findings;
};

function effectiveTier(storage: EnvironmentSettings['server']['storage']): string | undefined {
  return storage.tier ?? storageTiers(storage.sizeGb)?.[0];
}

function limitInForce(settings: EnvironmentSettings, role: ServerRole, name: string): number | undefined {
  if (name === 'max_connections') return maxConnections(settings, role);
  const given =
    (role === 'replica' ? settings.replica?.parameters[name] : undefined) ?? settings.server.parameters[name];
  const value = Number(given ?? parameter(name)?.default);
  return Number.isNaN(value) ? undefined : value;
}

const limits: Rule = (settings) => {
  if (!settings.replica) return [];
  return parametersInheritedByStandby.flatMap((name) => {
    const mine = limitInForce(settings, 'primary', name);
    const theirs = limitInForce(settings, 'replica', name);
    if (mine === undefined || theirs === undefined) return [];
    return check(theirs >= mine, `replica.parameters.${name}`, theirs, {
      rule: `a replica’s ${name} is at least its primary’s (${mine}), or it stops replaying`,
      source: 'https://www.postgresql.org/docs/17/hot-standby.html#HOT-STANDBY-ADMIN',
    });
  });
};

const switchover: Rule = ({ replica, virtualEndpoint, writer }) => [
  ...check(!virtualEndpoint || replica !== undefined, 'virtualEndpoint', virtualEndpoint?.name, {
    rule: 'a virtual endpoint needs a replica to point its reader at',
    source: urls.endpoints,
  }),
  ...check(writer === 'primary' || replica !== undefined, 'writer', writer, {
    rule: 'the replica cannot take writes where there is none',
    source: promotion,
  }),
  ...check(writer === 'primary' || replica === undefined || virtualEndpoint !== undefined, 'writer', writer, {
    rule: 'a replica is promoted to primary through a virtual endpoint',
    source: promotion,
    remedy: 'Deploy virtualEndpoint first, then switch over.',
  }),
];

const order: Rule = ({ replica, changeFirst }) =>
  check(changeFirst === 'primary' || replica !== undefined, 'changeFirst', changeFirst, {
    rule: 'the replica cannot be changed first where there is none',
    source: urls.replicas,
  });

export const replicaRules: readonly Rule[] = [elsewhere, compute, disk, limits, switchover, order];
