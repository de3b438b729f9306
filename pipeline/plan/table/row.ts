/** The form of a row of the impact table. `table/index.ts` has all rows; each has a test row. */

import type { Context, ServerFacts } from '../context.ts';
import type { Action, AttributeChange, ResourceChange } from '../facts.ts';
import type { Impact } from '../impacts.ts';

/** Seconds that Azure documents for an interruption. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Judgement {
  readonly impact: Impact;
  /** The effect on the database, as one sentence without a period. */
  readonly says: string;
  /** @default - Azure documents no time */
  readonly seconds?: Range;
  /** The condition under which it happens, if the plan does not decide it. @default - it happens */
  readonly when?: string;
  /** Factor of a part of the bill: `compute`, 2. */
  readonly factor?: { readonly of: 'compute' | 'storage' | 'server'; readonly by: number };
  /** It happens in the post-deploy step, not when the resource is changed. @default false */
  readonly later?: true;
  /** Controls of benchmarks and tools that pass before and fail afterwards. @default - none */
  readonly controls?: readonly string[];
}

export interface About {
  readonly change: ResourceChange;
  /** The attribute of the row; the empty change in rows about a whole resource. */
  readonly attribute: AttributeChange;
  readonly context: Context;
  /** The server itself, or the one that the resource belongs to. */
  readonly server: ServerFacts | undefined;
}

export interface Source {
  readonly url: string;
  /** Month of the page, `2026-07`, or version of the source, `v4.55.0`. */
  readonly dated: string;
}

export interface Row {
  /** `server/sku-name`. Stable: waivers and SARIF name it. */
  readonly id: string;
  readonly type: string;
  /** Attributes of an update, `*` for those without a row of their own; or the action on the whole resource. */
  readonly on: readonly string[] | Exclude<Action, 'nothing' | 'update' | 'read'>;
  readonly source: Source;
  judge(about: About): readonly Judgement[] | Judgement;
}

/** A row whose judgement does not depend on values. */
export function fixed(impact: Impact, says: string, more: Partial<Judgement> = {}): () => Judgement {
  return () => ({ impact, says, ...more });
}

/** A row whose judgement depends on whether the new value is `true`; the worse one if it is known only afterwards. */
export function toggled(on: Judgement, off: Judgement, worse: 'on' | 'off'): (about: About) => Judgement {
  return ({ attribute: { after, isUnknown } }) => {
    if (isUnknown) return worse === 'on' ? on : off;
    return after === true ? on : off;
  };
}

const docs = (path: string, dated: string): Source => ({
  url: `https://learn.microsoft.com/azure/postgresql/${path}`,
  dated,
});
const code = (path: string): Source => ({
  url: `https://github.com/hashicorp/terraform-provider-azurerm/blob/v4.55.0/internal/services/${path}`,
  dated: 'v4.55.0',
});

export const sources = {
  provider: code('postgres/postgresql_flexible_server_resource.go'),
  children: code('postgres'),
  network: code('network'),
  vault: code('keyvault'),
  monitor: code('monitor'),
  logs: code('loganalytics/log_analytics_workspace_resource.go'),
  backupVault: code('dataprotection'),
  resources: code('resource'),
  locks: code('resource/management_lock_resource.go'),
  roles: code('authorization/role_assignment_resource.go'),
  identities: code('managedidentity'),
  jobs: code('containerapps'),
  policy: code('policy'),
  scaling: docs('scale/concepts-scaling-resources', '2025-11'),
  storage: docs('scale/how-to-scale-storage-size', '2026-07'),
  tier: docs('scale/how-to-scale-storage-performance', '2026-06'),
  upgrade: docs('configure-maintain/concepts-major-version-upgrade', '2026-04'),
  maintenance: docs('configure-maintain/concepts-maintenance', '2026-03'),
  highAvailability: docs('high-availability/concepts-high-availability', '2026-07'),
  standbyMode: docs('high-availability/how-to-configure-high-availability', '2026-07'),
  entra: docs('security/security-entra-concepts', '2026-07'),
  encryption: docs('security/security-data-encryption', '2026-06'),
  firewall: docs('security/security-firewall-rules', '2026-05'),
  privateNetwork: docs('network/concepts-networking-private', '2026-05'),
  privateLink: docs('network/concepts-networking-private-link', '2026-05'),
  backup: docs('backup-restore/concepts-backup-restore', '2026-05'),
  replicas: docs('read-replica/concepts-read-replicas', '2026-05'),
  endpoints: docs('read-replica/concepts-read-replicas-virtual-endpoints', '2026-05'),
  parameters: docs('server-parameters/concepts-server-parameters', '2026-05'),
} as const;

/** Times that Azure documents. */
export const times = {
  /** Near-zero-downtime scaling, as clients see it with the time-to-live of DNS. */
  nearZero: { from: 40, to: 60 },
  /** Scaling without it. */
  scaling: { from: 120, to: 600 },
} as const satisfies Readonly<Record<string, Range>>;

/** Of what belongs to a server that is made, replaced or destroyed in the same plan: the server's own verdict says it. */
export function fateOf(server: ServerFacts | undefined): Judgement | undefined {
  switch (server?.change.action) {
    case 'create':
      return { impact: 'nothing', says: 'the server is new' };
    case 'replace':
    case 'delete':
      return { impact: 'nothing', says: `it goes with ${server.address}` };
    default:
      return undefined;
  }
}
