/** Each row of the impact table has a row here: a change that the row judges, with its impact. */
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../core/json.ts';
import { rows } from '../../../pipeline/plan/table/index.ts';
import { type ChangeInput, document, guarded, resource, server } from './documents.ts';

/** Impacts of rows about a whole resource. The same for each type of a family. */
const ofActions: Readonly<Record<string, string>> = {
  'server/created': 'nothing',
  'server/replaced': 'data-loss',
  'server/destroyed': 'data-loss',
  'database/created': 'online',
  'database/replaced': 'data-loss',
  'database/destroyed': 'data-loss',
  'administrator/added': 'security-weakened',
  'administrator/removed': 'online',
  'administrator/replaced': 'security-weakened',
  'firewall/added': 'security-weakened',
  'firewall/removed': 'online',
  'firewall/replaced': 'security-weakened',
  'virtual-endpoint/created': 'nothing',
  'virtual-endpoint/replaced': 'long-outage',
  'virtual-endpoint/removed': 'long-outage',
  'backup/taken': 'online',
  'backup/removed': 'recovery-weakened',
  'backup/replaced': 'recovery-weakened',
  'parameter/set': 'online',
  'parameter/reset': 'online',
  'parameter/replaced': 'online',
  'private-endpoint/created': 'nothing',
  'private-endpoint/replaced': 'long-outage',
  'private-endpoint/removed': 'long-outage',
  'network/created': 'nothing',
  'network/replaced': 'long-outage',
  'network/removed': 'long-outage',
  'virtual-network/created': 'nothing',
  'virtual-network/replaced': 'long-outage',
  'virtual-network/removed': 'long-outage',
  'peering/created': 'security-weakened',
  'peering/replaced': 'long-outage',
  'peering/removed': 'long-outage',
  'route/created': 'nothing',
  'route/created-route': 'unknown',
  'route/replaced': 'unknown',
  'route/removed': 'unknown',
  'route-use/used': 'unknown',
  'route-use/replaced': 'unknown',
  'route-use/removed': 'unknown',
  'security-group/created': 'security-weakened',
  'security-group/created-network-security-group': 'nothing',
  'security-group/replaced': 'security-weakened',
  'security-group/removed': 'security-weakened',
  'security-group-use/used': 'unknown',
  'security-group-use/replaced': 'security-weakened',
  'security-group-use/removed': 'security-weakened',
  'access-policy/granted': 'security-weakened',
  'access-policy/replaced': 'long-outage',
  'access-policy/revoked': 'long-outage',
  'federation/added': 'security-weakened',
  'federation/replaced': 'security-weakened',
  'federation/removed': 'unknown',
  'policy/assigned': 'online',
  'policy/replaced': 'security-weakened',
  'policy/removed': 'security-weakened',
  'vault/created': 'nothing',
  'vault/replaced': 'data-loss',
  'vault/removed': 'data-loss',
  'key/created': 'nothing',
  'key/replaced': 'data-loss',
  'key/removed': 'data-loss',
  'template/created': 'nothing',
  'template/replaced': 'unknown',
  'template/removed': 'unknown',
  'workspace/created': 'nothing',
  'workspace/replaced': 'data-loss',
  'workspace/removed': 'data-loss',
  'diagnostics/created': 'nothing',
  'diagnostics/replaced': 'security-weakened',
  'diagnostics/removed': 'security-weakened',
  'alert/created': 'nothing',
  'alert/replaced': 'nothing',
  'alert/removed': 'security-weakened',
  'budget/created': 'nothing',
  'budget/replaced': 'nothing',
  'budget/removed': 'nothing',
  'long-term-backup/created': 'nothing',
  'long-term-backup/replaced': 'data-loss',
  'long-term-backup/removed': 'data-loss',
  'post-deploy-job/created': 'nothing',
  'post-deploy-job/replaced': 'unknown',
  'post-deploy-job/removed': 'unknown',
  'post-deploy-job-environment/created': 'nothing',
  'post-deploy-job-environment/replaced': 'unknown',
  'post-deploy-job-environment/removed': 'unknown',
  'lock/created': 'nothing',
  'lock/replaced': 'security-weakened',
  'lock/removed': 'security-weakened',
  'resource-group/created': 'nothing',
  'resource-group/replaced': 'data-loss',
  'resource-group/removed': 'data-loss',
  'identity/created': 'nothing',
  'identity/replaced': 'unknown',
  'identity/removed': 'unknown',
  'role/granted': 'online',
  'role/replaced': 'long-outage',
  'role/revoked': 'long-outage',
};

type Values = JsonObject;
type Attribute = readonly [before: Values, after: Values, impact: string];

/** A post-deploy job in the environment `e`. */
const postDeployJob = (container: JsonObject, args = ['post-deploy']): Values => ({
  container_app_environment_id: 'e',
  template: [{ container: [{ image: 'a', command: ['node'], args, cpu: 1, ...container }] }],
});

/** Values of an update before and after, with the worst impact. */
const ofAttributes: Readonly<Record<string, Attribute>> = {
  'server/size': [{ sku_name: 'GP_Standard_D4s_v3' }, { sku_name: 'GP_Standard_D8s_v3' }, 'restart'],
  'server/disk': [{ storage_mb: 524288 }, { storage_mb: 1048576 }, 'cost'],
  'server/storage-tier': [{ storage_tier: 'P20' }, { storage_tier: 'P30' }, 'cost'],
  'server/auto-grow': [{ auto_grow_enabled: true }, { auto_grow_enabled: false }, 'online'],
  'server/version': [{ version: '16' }, { version: '17' }, 'long-outage'],
  'server/standby': [
    { high_availability: [{ mode: 'SameZone' }] },
    { high_availability: [] },
    'recovery-weakened',
  ],
  'server/standby-mode': [
    { high_availability: [{ mode: 'SameZone' }] },
    { high_availability: [{ mode: 'ZoneRedundant' }] },
    'refused-by-azure',
  ],
  'server/zone': [{ zone: '1' }, { zone: '2' }, 'refused-by-azure'],
  'server/standby-zone': [
    { high_availability: [{ mode: 'ZoneRedundant', standby_availability_zone: '2' }] },
    { high_availability: [{ mode: 'ZoneRedundant', standby_availability_zone: '3' }] },
    'refused-by-azure',
  ],
  'server/backup-retention': [
    { backup_retention_days: 14 },
    { backup_retention_days: 7 },
    'recovery-weakened',
  ],
  'server/maintenance-window': [
    { maintenance_window: [{ start_hour: 1 }] },
    { maintenance_window: [{ start_hour: 2 }] },
    'nothing',
  ],
  'server/entra-login': [
    { authentication: [{ active_directory_auth_enabled: true }] },
    { authentication: [{ active_directory_auth_enabled: false }] },
    'security-weakened',
  ],
  'server/password-login': [
    { authentication: [{ password_auth_enabled: true }] },
    { authentication: [{ password_auth_enabled: false }] },
    'unknown',
  ],
  'server/authentication': [
    { authentication: [{ tenant_id: 'a' }] },
    { authentication: [{ tenant_id: 'b' }] },
    'unknown',
  ],
  'server/administrator-login': [{}, { administrator_login: 'llama' }, 'unknown'],
  'server/administrator-password': [
    { administrator_password_wo_version: 1 },
    { administrator_password_wo_version: 2 },
    'online',
  ],
  'server/encryption-key': [
    { customer_managed_key: [{ key_vault_key_id: 'a' }] },
    { customer_managed_key: [{ key_vault_key_id: 'b' }] },
    'online',
  ],
  'server/encryption-identity': [
    { customer_managed_key: [{ primary_user_assigned_identity_id: 'a' }] },
    { customer_managed_key: [{ primary_user_assigned_identity_id: 'b' }] },
    'unknown',
  ],
  'server/identity': [
    { identity: [{ type: 'UserAssigned', identity_ids: ['a'] }] },
    { identity: [{ type: 'UserAssigned', identity_ids: ['b'] }] },
    'unknown',
  ],
  'server/public-network': [
    { public_network_access_enabled: false },
    { public_network_access_enabled: true },
    'security-weakened',
  ],
  'server/dns-zone': [{ private_dns_zone_id: 'a' }, { private_dns_zone_id: 'b' }, 'unknown'],
  'server/replica-promoted': [{}, { replication_role: 'None' }, 'recovery-weakened'],
  'server/create-mode': [{ create_mode: 'Default' }, { create_mode: 'GeoRestore' }, 'refused-by-azure'],
  'server/cluster': [{ cluster: [{ size: 2 }] }, { cluster: [{ size: 4 }] }, 'cost'],
  'server/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'parameter/value': [{ name: 'work_mem', value: '1' }, { name: 'work_mem', value: '8192' }, 'online'],
  'firewall/range': [
    { start_ip_address: '10.0.0.1', end_ip_address: '10.0.0.9' },
    { start_ip_address: '10.0.0.1', end_ip_address: '10.0.0.10' },
    'security-weakened',
  ],
  'virtual-endpoint/replica': [{ replica_server_id: 'a' }, { replica_server_id: 'b' }, 'online'],
  'private-endpoint/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'private-endpoint/dns-zone-group': [
    { private_dns_zone_group: [{ name: 'a' }] },
    { private_dns_zone_group: [] },
    'long-outage',
  ],
  'network/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'network/changed': [
    { address_prefixes: ['10.0.0.0/16'] },
    { address_prefixes: ['10.1.0.0/16'] },
    'unknown',
  ],
  'virtual-network/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'virtual-network/addresses': [
    { address_space: ['10.0.0.0/16'] },
    { address_space: ['10.1.0.0/16'] },
    'unknown',
  ],
  'virtual-network/dns-servers': [{ dns_servers: [] }, { dns_servers: ['10.0.0.4'] }, 'unknown'],
  'virtual-network/ddos': [
    { ddos_protection_plan: [{ id: 'a', enable: true }] },
    { ddos_protection_plan: [] },
    'security-weakened',
  ],
  'virtual-network/changed': [
    { private_endpoint_vnet_policies: 'Disabled' },
    { private_endpoint_vnet_policies: 'Basic' },
    'unknown',
  ],
  'peering/tags': [{}, { timeouts: { read: '1h' } }, 'nothing'],
  'peering/access': [
    { allow_virtual_network_access: true },
    { allow_virtual_network_access: false },
    'long-outage',
  ],
  'peering/changed': [{ use_remote_gateways: true }, { use_remote_gateways: false }, 'unknown'],
  'dns-link/resolution': [
    { resolution_policy: 'Default' },
    { resolution_policy: 'NxDomainRedirect' },
    'online',
  ],
  'route/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'route/changed': [{ next_hop_type: 'Internet' }, { next_hop_type: 'VirtualAppliance' }, 'unknown'],
  'route-use/tags': [{}, { timeouts: { read: '1h' } }, 'nothing'],
  'security-group-use/tags': [{}, { timeouts: { read: '1h' } }, 'nothing'],
  'access-policy/changed': [
    { key_permissions: ['Get', 'UnwrapKey'] },
    { key_permissions: ['Get'] },
    'long-outage',
  ],
  'federation/changed': [{ subject: 'a' }, { subject: 'b' }, 'security-weakened'],
  'policy/tags': [{ description: 'a' }, { description: 'b' }, 'nothing'],
  'policy/enforced': [{ enforce: true }, { enforce: false }, 'security-weakened'],
  'policy/changed': [{ parameters: 'a' }, { parameters: 'b' }, 'security-weakened'],
  'role/tags': [{ description: 'a' }, { description: 'b' }, 'nothing'],
  'role/condition': [{ condition: 'a' }, {}, 'security-weakened'],
  'key/rotation': [
    { rotation_policy: [{ expire_after: 'P90D' }] },
    { rotation_policy: [{ expire_after: 'P180D' }] },
    'online',
  ],
  'backup-vault/immutability': [
    { immutability: 'Unlocked' },
    { immutability: 'Disabled' },
    'recovery-weakened',
  ],
  'backup-vault/soft-delete': [{ soft_delete: 'On' }, { soft_delete: 'Off' }, 'recovery-weakened'],
  'security-group/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'security-group/changed': [
    { security_rule: [] },
    { security_rule: [{ access: 'Allow' }] },
    'security-weakened',
  ],
  'vault/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'vault/public-network': [
    { public_network_access_enabled: false },
    { public_network_access_enabled: true },
    'security-weakened',
  ],
  'vault/firewall': [
    { network_acls: [{ default_action: 'Deny' }] },
    { network_acls: [{ default_action: 'Allow' }] },
    'security-weakened',
  ],
  'vault/purge-protection': [
    { purge_protection_enabled: true },
    { purge_protection_enabled: false },
    'refused-by-azure',
  ],
  'vault/soft-delete': [
    { soft_delete_retention_days: 90 },
    { soft_delete_retention_days: 30 },
    'refused-by-azure',
  ],
  'vault/role-model': [
    { rbac_authorization_enabled: true },
    { rbac_authorization_enabled: false },
    'security-weakened',
  ],
  'vault/roles': [{ access_policy: [] }, { access_policy: [{ object_id: 'a' }] }, 'security-weakened'],
  'vault/uses': [{ enabled_for_deployment: false }, { enabled_for_deployment: true }, 'security-weakened'],
  'vault/tier': [{ sku_name: 'premium' }, { sku_name: 'standard' }, 'security-weakened'],
  'key/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'key/changed': [{ key_opts: ['wrapKey', 'unwrapKey'] }, { key_opts: ['wrapKey'] }, 'unknown'],
  'template/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'template/changed': [{ template_content: 'a' }, { template_content: 'b' }, 'unknown'],
  'workspace/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'workspace/retention': [{ retention_in_days: 365 }, { retention_in_days: 90 }, 'security-weakened'],
  'workspace/quota': [{ daily_quota_gb: -1 }, { daily_quota_gb: 1 }, 'security-weakened'],
  'workspace/access-mode': [
    { internet_query_access_type: 'Disabled' },
    { internet_query_access_type: 'Enabled' },
    'security-weakened',
  ],
  'workspace/access': [
    { internet_query_enabled: false },
    { internet_query_enabled: true },
    'security-weakened',
  ],
  'diagnostics/tags': [{}, { timeouts: { read: '1h' } }, 'nothing'],
  'diagnostics/logs': [
    { enabled_log: [{ category: 'a' }, { category: 'b' }] },
    { enabled_log: [{ category: 'a' }] },
    'security-weakened',
  ],
  'diagnostics/metrics': [
    { enabled_metric: [{ category: 'a' }] },
    { enabled_metric: [] },
    'security-weakened',
  ],
  'diagnostics/archive': [{ storage_account_id: 'a' }, {}, 'security-weakened'],
  'diagnostics/changed': [
    { log_analytics_workspace_id: 'a' },
    { log_analytics_workspace_id: 'b' },
    'security-weakened',
  ],
  'alert/enabled': [{ enabled: true }, { enabled: false }, 'security-weakened'],
  'alert/receivers': [
    { arm_role_receiver: [{ name: 'a' }, { name: 'b' }] },
    { arm_role_receiver: [{ name: 'a' }] },
    'security-weakened',
  ],
  'alert/details': [
    { criteria: [{ skip_metric_validation: false }] },
    { criteria: [{ skip_metric_validation: true }] },
    'nothing',
  ],
  'alert/scopes': [{ scopes: ['a', 'b'] }, { scopes: ['a'] }, 'security-weakened'],
  'alert/threshold': [
    { criteria: [{ operator: 'GreaterThan', threshold: 80 }] },
    { criteria: [{ operator: 'GreaterThan', threshold: 95 }] },
    'security-weakened',
  ],
  'alert/criteria': [
    { criteria: [{ metric_name: 'cpu_percent' }] },
    { criteria: [{ metric_name: 'memory_percent' }] },
    'security-weakened',
  ],
  'alert/frequency': [{ frequency: 'PT5M' }, { frequency: 'PT1H' }, 'security-weakened'],
  'alert/window': [{ window_size: 'PT5M' }, { window_size: 'PT1H' }, 'security-weakened'],
  'alert/changed': [{ description: 'a' }, { description: 'b' }, 'nothing'],
  'budget/changed': [{ amount: 1 }, { amount: 2 }, 'nothing'],
  'post-deploy-job/image': [postDeployJob({ image: 'a' }), postDeployJob({ image: 'b' }), 'online'],
  'post-deploy-job/program': [postDeployJob({}), postDeployJob({ command: ['sh', '-c'] }), 'unknown'],
  'post-deploy-job/identity': [
    { ...postDeployJob({}), identity: [{ identity_ids: ['a'] }] },
    { ...postDeployJob({}), identity: [{ identity_ids: ['b'] }] },
    'unknown',
  ],
  'post-deploy-job/changed': [
    { replica_timeout_in_seconds: 60 },
    { replica_timeout_in_seconds: 61 },
    'nothing',
  ],
  'post-deploy-job-environment/changed': [{ tags: {} }, { tags: { a: 'b' } }, 'nothing'],
  'long-term-backup/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'long-term-backup/changed': [{ backup_policy_id: 'a' }, { backup_policy_id: 'b' }, 'recovery-weakened'],
  'resource-group/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
  'resource-group/owner': [{}, { managed_by: 'x' }, 'unknown'],
  'identity/tags': [{}, { tags: { a: 'b' } }, 'nothing'],
};

const types = new Set(rows.map(({ type }) => type));

/** `network/removed-subnet` has the row of `network/removed`. */
function familyOf(id: string): string {
  const [family = '', name = ''] = id.split('/');
  const known = Object.keys({ ...ofActions, ...ofAttributes }).filter((one) => one.startsWith(`${family}/`));
  const found = known.filter(
    (one) => name === one.slice(family.length + 1) || name.startsWith(`${one.slice(family.length + 1)}-`),
  );
  return found.sort((a, b) => b.length - a.length)[0] ?? id;
}

const actions = {
  create: ['create'],
  replace: ['delete', 'create'],
  delete: ['delete'],
  update: ['update'],
} as const;
const exists: JsonObject = { name: 'work_mem', value: '4096', role_definition_name: 'Key Vault Crypto User' };

function inputOf({ type, on }: (typeof rows)[number], attribute: Attribute | undefined): ChangeInput {
  const address = `${type}.tried`;
  if (typeof on === 'string')
    return {
      type,
      address,
      actions: actions[on],
      before: on === 'create' ? null : exists,
      after: on === 'delete' ? null : { ...exists, value: '8192' },
    };
  const [before, after] = attribute ?? [{}, {}];
  return { type, address, before, after };
}

describe('a row of the impact table', () => {
  it.each(rows.map((row) => [row.id, row] as const))('%s', (id, row) => {
    const attribute = ofAttributes[familyOf(id)];
    const expected = typeof row.on === 'string' ? ofActions[familyOf(id)] : attribute?.[2];
    const report = guarded(document([resource(inputOf(row, attribute))]));
    const verdict = report.verdicts[0];
    expect(verdict?.row).toBe(id);
    expect(verdict?.impact).toBe(expected);
    expect(verdict?.says).not.toMatch(/[.]$|undefined|\[object/);
    expect(row.source.url).toMatch(/^https:\/\/(?:learn\.microsoft\.com|github\.com\/hashicorp)\//);
    expect(row.source.dated).toMatch(/^(?:20\d\d-\d\d|v4\.55\.0)$/);
  });

  it('has an id of its own', () => {
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  });

  it('has a row here that no other needs', () => {
    const used = new Set(rows.map(({ id }) => familyOf(id)));
    expect([...Object.keys(ofActions), ...Object.keys(ofAttributes)].filter((id) => !used.has(id))).toEqual(
      [],
    );
  });
});

describe('a job of Container Apps', () => {
  const job = 'azurerm_container_app_job';
  const environment = 'azurerm_container_app_environment';
  const removed = { actions: ['delete'], after: null };
  const environmentRemoved = resource({ type: environment, before: { id: 'E' }, ...removed });
  const worst = (...changes: JsonObject[]) => guarded(document(changes)).impact;

  it('of the post-deploy step may go, and the environment with it', () => {
    const own = resource({ type: job, before: postDeployJob({}), ...removed });
    expect(worst(own, environmentRemoved)).toBe('online');
  });

  it('of another program is not known, and neither is its environment', () => {
    const other = resource({ type: job, before: postDeployJob({}, ['report']), ...removed });
    expect(worst(other)).toBe('unknown');
    expect(worst(other, environmentRemoved)).toBe('unknown');
    expect(worst(environmentRemoved)).toBe('unknown');
  });

  it('of another program changes without a word about the database', () => {
    const change = (container: JsonObject) =>
      worst(
        resource({
          type: job,
          before: postDeployJob({}, ['report']),
          after: postDeployJob(container, ['report']),
        }),
      );
    expect(change({ image: 'b' })).toBe('nothing');
    expect(change({ command: ['sh'] })).toBe('nothing');
  });

  it.each<[string, JsonObject, string]>([
    ['its size', { cpu: 2 }, 'nothing'],
    ['its variables', { env: [{ name: 'PGHOST', value: 'elsewhere' }] }, 'unknown'],
    ['its arguments', { args: ['run'] }, 'unknown'],
  ])('of the post-deploy step with another value of %s', (_, container, expected) => {
    const [before, after] = [postDeployJob({}), postDeployJob(container)];
    expect(worst(resource({ type: job, before, after }))).toBe(expected);
    const replaced = resource({ type: job, before, after, actions: ['delete', 'create'] });
    expect(worst(replaced)).toBe(expected === 'nothing' ? 'online' : expected);
  });

  it('with a second container runs another program', () => {
    const before = postDeployJob({});
    const after = { ...before, template: [{ container: [{ args: ['post-deploy'] }, { image: 'x' }] }] };
    expect(worst(resource({ type: job, before, after }))).toBe('unknown');
  });
});

describe('what the table does not have', () => {
  it('an attribute of a known type is unknown, and refused', () => {
    const report = guarded(document([resource({ before: server, after: { ...server, brand_new: 1 } })]));
    expect(report).toMatchObject({ impact: 'unknown', exitCode: 3, refusals: [{ rule: { id: 'GRD-005' } }] });
  });

  it('a value that is known only after the apply has the worst impact of its attribute', () => {
    const unknown = (name: string) =>
      guarded(document([resource({ before: server, after: server, unknown: { [name]: true } })])).impact;
    expect(unknown('backup_retention_days')).toBe('recovery-weakened');
    expect(unknown('storage_mb')).toBe('restart');
    expect(unknown('public_network_access_enabled')).toBe('security-weakened');
    expect(unknown('storage_tier')).toBe('refused-by-azure');
    expect(unknown('version')).toBe('long-outage');
  });

  it('other types are one line with a count, and their destruction is refused', () => {
    const type = 'azurerm_kubernetes_cluster';
    const calm = ['a', 'b', 'c'].map((name) =>
      resource({ type, address: `module.x.${type}.${name}`, before: { a: 1 }, after: { a: 2 } }),
    );
    const report = guarded(document(calm));
    expect(report).toMatchObject({ exitCode: 2, others: { [type]: 3 }, verdicts: [], refusals: [] });
    const destroyed = resource({
      type,
      address: `${type}.d`,
      actions: ['delete'],
      before: { a: 1 },
      after: null,
    });
    expect(guarded(document([...calm, destroyed]))).toMatchObject({
      exitCode: 3,
      others: { [type]: 4 },
      impact: 'unknown',
    });
  });

  it('a request of another provider to a server is unknown', () => {
    const azapi = (kind: string) =>
      guarded(
        document([
          resource({
            type: 'azapi_update_resource',
            before: { type: kind, body: 1 },
            after: { type: kind, body: 2 },
          }),
        ]),
      ).impact;
    expect(azapi('Microsoft.DBforPostgreSQL/flexibleServers@2025-08-01')).toBe('unknown');
    expect(azapi('Microsoft.Web/sites@2024-01-01')).toBe('nothing');
  });

  it('no type of this project is outside the table', async () => {
    const { resourceTypes } = await import('../../../azure/resource-types.ts');
    const own = Object.values(resourceTypes).flatMap((one) =>
      'terraform' in one ? [one.terraform.type] : [],
    );
    expect(own.filter((type) => !types.has(type))).toEqual([]);
  });

  it('no argument of the servers and databases is without a row', async () => {
    const { trials, trialsOf } = await import('../../../rehearsal/replacements.ts');
    const { rowOfAttribute } = await import('../../../pipeline/plan/table/index.ts');
    const missing = Object.keys(trials).flatMap((type) =>
      trialsOf(type)
        .filter(({ replaces, argument }) => !replaces && argument !== 'administrator_password_wo')
        .flatMap(({ argument }) => (rowOfAttribute(type, argument) ? [] : [`${type}.${argument}`])),
    );
    expect(missing).toEqual([]);
  });
});
