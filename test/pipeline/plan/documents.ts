/** Plans written by hand, for what a local Azure cannot be made to plan. */
import type { JsonObject } from '../../../core/json.ts';
import { type GuardOptions, type GuardReport, guard } from '../../../pipeline/plan/guard.ts';

export interface ChangeInput {
  readonly address?: string;
  readonly type?: string;
  readonly actions?: readonly string[];
  readonly before?: JsonObject | null;
  readonly after?: JsonObject | null;
  readonly unknown?: JsonObject;
  readonly sensitive?: JsonObject;
  readonly more?: JsonObject;
  readonly inChange?: JsonObject;
}

export function resource({
  type = 'azurerm_postgresql_flexible_server',
  address = `${type}.one`,
  actions = ['update'],
  before = {},
  after = {},
  unknown = {},
  sensitive = {},
  more = {},
  inChange = {},
}: ChangeInput): JsonObject {
  const change = {
    actions,
    before,
    after,
    after_unknown: unknown,
    before_sensitive: sensitive,
    after_sensitive: sensitive,
    ...inChange,
  };
  return {
    address,
    mode: 'managed',
    type,
    name: address.split('.').at(-1) ?? '',
    provider_name: 'registry.terraform.io/hashicorp/azurerm',
    change: change as unknown as JsonObject,
    ...more,
  };
}

export function document(changes: readonly JsonObject[], more: JsonObject = {}): JsonObject {
  const acts = changes.some((one) => JSON.stringify(one['change']).includes('"actions":["no-op"]') === false);
  return {
    format_version: '1.2',
    terraform_version: '1.14.0',
    resource_changes: [...changes],
    configuration: { root_module: {} },
    timestamp: '2026-11-27T12:00:00Z',
    applyable: acts,
    complete: true,
    errored: false,
    ...more,
  };
}

export const now = new Date('2026-11-27T12:00:00Z');

export function guarded(plan: JsonObject, options: Partial<GuardOptions> = {}): GuardReport {
  return guard(JSON.stringify(plan), {
    environment: 'production',
    isProtected: true,
    waivers: [],
    now,
    ...options,
  });
}

/** A server as it exists. */
export const server: JsonObject = {
  id: '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/one',
  name: 'one',
  sku_name: 'GP_Standard_D4s_v3',
  storage_mb: 524288,
  backup_retention_days: 14,
};
