/** A replica and its primary: what must differ, what must match, and what a switchover needs. */
import { parametersInheritedByStandby } from '../../azure/parameters.ts';
import { storageTierRank, storageTiers } from '../../azure/storage.ts';
import { type Candidate, numberInForce } from '../resolved.ts';
import { check, defineRules, urls } from '../rule.ts';

const promotion = 'https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas-promote';

/** Both disks, if the replica's settings have one of its own. */
function disks({ server, replica }: Candidate) {
  return replica?.storage && { primary: server.storage, replica: replica.storage };
}

function effectiveTier({ tier, sizeGb }: Candidate['server']['storage']): string | undefined {
  return tier ?? storageTiers(sizeGb)?.[0];
}

export const replicaRules = defineRules({
  'replica/recovery-region-apart': {
    rule: "the recovery region is not the primary's",
    source: 'environments/settings.ts',
    remedy: "Leave recoveryLocation out: a replica in the primary's region uses its network.",
    check: ({ location, recoveryLocation }) =>
      check(recoveryLocation !== location, 'recoveryLocation', recoveryLocation, {
        rule: `the recovery region is not the primary's (${location})`,
      }),
  },

  'replica/in-recovery-region': {
    rule: "a replica is in the primary's region or in the recovery region, which has its network and resource group",
    source: 'environments/settings.ts',
    check: ({ location, recoveryLocation, replica }) => {
      if (!replica || replica.location === location) return [];
      return check(replica.location === recoveryLocation, 'replica.location', replica.location, {
        rule: `a replica is in the primary's region or in the recovery region, which has its network and resource group (recoveryLocation is ${recoveryLocation ?? 'not set'})`,
      });
    },
  },

  'replica/same-compute': {
    rule: "a replica that may be promoted has the primary's tier, vCores and memory",
    source: promotion,
    check: ({ server, replica, servers, virtualEndpoint }) => {
      const [primary, copy] = [servers.primary.sku, servers.replica?.sku];
      if (!virtualEndpoint || replica?.sku === undefined || !primary || !copy) return [];
      const same =
        copy.tier === primary.tier && copy.vCores === primary.vCores && copy.memoryGb === primary.memoryGb;
      return check(same, 'replica.sku', replica.sku, {
        rule: `a replica that may be promoted has the primary's tier, vCores and memory (${server.sku})`,
      });
    },
  },

  'replica/enough-compute': {
    rule: "a replica has at least the primary's vCores and memory and is not Burstable; otherwise it falls behind and never catches up",
    source: urls.replicas,
    check: ({ server, replica, servers, virtualEndpoint }) => {
      const [primary, copy] = [servers.primary.sku, servers.replica?.sku];
      if (virtualEndpoint || replica?.sku === undefined || !primary || !copy) return [];
      const enough =
        copy.tier !== 'Burstable' && copy.vCores >= primary.vCores && copy.memoryGb >= primary.memoryGb;
      return check(enough, 'replica.sku', replica.sku, {
        rule: `a replica has at least the primary's vCores and memory (${server.sku}) and is not Burstable; otherwise it falls behind and never catches up`,
      });
    },
  },

  'replica/same-disk-size': {
    rule: "a replica that may be promoted has a disk of the primary's size",
    source: promotion,
    check: (candidate) => {
      const both = disks(candidate);
      if (!both || !candidate.virtualEndpoint) return [];
      const { primary, replica } = both;
      return check(replica.sizeGb === primary.sizeGb, 'replica.storage.sizeGb', replica.sizeGb, {
        rule: `a replica that may be promoted has a disk of the primary's size (${primary.sizeGb})`,
      });
    },
  },

  'replica/enough-disk': {
    rule: "a replica's disk is at least as large as the primary's",
    source: urls.replicas,
    check: (candidate) => {
      const both = disks(candidate);
      if (!both || candidate.virtualEndpoint) return [];
      const { primary, replica } = both;
      return check(replica.sizeGb >= primary.sizeGb, 'replica.storage.sizeGb', replica.sizeGb, {
        rule: `a replica's disk is at least as large as the primary's (${primary.sizeGb})`,
      });
    },
  },

  'replica/disk-grows': {
    rule: "a replica's disk grows if the primary's does: otherwise the primary outgrows it",
    source: urls.replicas,
    check: (candidate) => {
      const both = disks(candidate);
      const holds = !both || both.replica.autoGrow || !both.primary.autoGrow;
      return check(holds, 'replica.storage.autoGrow', both?.replica.autoGrow);
    },
  },

  'replica/disk-tier': {
    rule: "a replica's disk has at least the primary's performance tier, and exactly that tier if it may be promoted",
    source: urls.replicas,
    check: (candidate) => {
      const both = disks(candidate);
      // Disks of two sizes have two tiers, and the rules about sizes report them.
      if (!both || both.primary.sizeGb !== both.replica.sizeGb) return [];
      const [primary, replica] = [effectiveTier(both.primary), effectiveTier(both.replica)];
      if (primary === undefined || replica === undefined) return [];
      return candidate.virtualEndpoint
        ? check(replica === primary, 'replica.storage.tier', replica, {
            rule: `the disk of a replica that may be promoted has the primary's performance tier (${primary})`,
            source: promotion,
          })
        : check(storageTierRank(replica) >= storageTierRank(primary), 'replica.storage.tier', replica, {
            rule: `a replica's disk has at least the primary's performance tier (${primary})`,
          });
    },
  },

  'replica/inherited-limits': {
    rule: `a replica's ${parametersInheritedByStandby.join(', ')} are at least its primary's, or it stops replaying`,
    source: 'https://www.postgresql.org/docs/17/hot-standby.html#HOT-STANDBY-ADMIN',
    check: ({ servers: { primary, replica } }) =>
      parametersInheritedByStandby.flatMap((name) => {
        const least = numberInForce(primary, name);
        const found = replica && numberInForce(replica, name);
        if (least === undefined || found === undefined) return [];
        return check(found >= least, `replica.parameters.${name}`, found, {
          rule: `a replica's ${name} is at least its primary's (${least}), or it stops replaying`,
        });
      }),
  },

  'replica/virtual-endpoint-has-replica': {
    rule: 'a virtual endpoint needs a replica for its reader',
    source: urls.endpoints,
    check: ({ virtualEndpoint, replica }) =>
      check(!virtualEndpoint || replica !== undefined, 'virtualEndpoint', virtualEndpoint?.name),
  },

  'replica/writer-exists': {
    rule: 'writer is replica only if the settings have a replica',
    source: 'environments/settings.ts',
    check: ({ writer, replica }) => check(writer === 'primary' || replica !== undefined, 'writer', writer),
  },

  'replica/writer-has-endpoint': {
    rule: 'a replica is promoted to primary through a virtual endpoint',
    source: promotion,
    remedy: 'Deploy virtualEndpoint first, then switch over.',
    check: ({ writer, replica, virtualEndpoint }) => {
      const holds = writer === 'primary' || replica === undefined || virtualEndpoint !== undefined;
      return check(holds, 'writer', writer);
    },
  },

  'replica/first-changed-exists': {
    rule: 'changeFirst is replica only if the settings have a replica',
    source: 'environments/settings.ts',
    check: ({ changeFirst, replica }) =>
      check(changeFirst === 'primary' || replica !== undefined, 'changeFirst', changeFirst),
  },
});
