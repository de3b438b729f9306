import { describe, expect, it } from 'vitest';
import { job } from '../environments/refused/job.ts';
import { stackOf } from './stack.ts';

const built = stackOf('production', (input) => {
  input.postDeployJob = { ...job('10.30.9.0/27'), cpu: 1, timeoutMinutes: 30 };
});
const only = (type: string) => {
  const found = Object.values(built.document.resource[type] ?? {});
  expect(found).toHaveLength(1);
  return found[0];
};

describe('the post-deploy job', () => {
  it('is absent without the setting, with every part of it', () => {
    const { document } = stackOf('production');
    expect(Object.keys(document.resource).filter((type) => type.includes('container_app'))).toEqual([]);
    expect(JSON.stringify(document)).not.toMatch(/Microsoft\.App|postDeployJob/);
  });

  it('runs the step once, by its digest, as the identity, when it is started', () => {
    const { identityId, image } = job('10.30.9.0/27');
    expect(only('azurerm_container_app_job')).toMatchObject({
      manual_trigger_config: { parallelism: 1, replica_completion_count: 1 },
      replica_retry_limit: 0,
      replica_timeout_in_seconds: 1800,
      workload_profile_name: 'Consumption',
      identity: { type: 'UserAssigned', identity_ids: [identityId] },
      registry: [{ server: 'complyai.azurecr.io', identity: identityId }],
      template: {
        container: [
          { image, cpu: 1, memory: '2Gi', command: ['node', 'commands/llama-db.mjs'], args: ['post-deploy'] },
        ],
      },
    });
  });

  it('has no secret, and its environment no entrance and no shared key of the workspace', () => {
    expect(only('azurerm_container_app_job')).not.toHaveProperty('secret');
    const environment = only('azurerm_container_app_environment');
    expect(environment).toMatchObject({
      infrastructure_resource_group_name: 'comply-ai-production-rg-post-deploy',
      internal_load_balancer_enabled: true,
      logs_destination: 'azure-monitor',
      workload_profile: [{ name: 'Consumption', workload_profile_type: 'Consumption' }],
    });
    expect(environment).not.toHaveProperty('log_analytics_workspace_id');
    expect(built.document.resource['azurerm_monitor_diagnostic_setting']).toHaveProperty(
      'post_deploy_job_diagnostics',
    );
  });

  it('has a subnet of its own that nothing outside it reaches', () => {
    const { job_subnet } = built.document.resource['azurerm_subnet'] ?? {};
    expect(job_subnet).toMatchObject({
      address_prefixes: ['10.30.9.0/27'],
      delegation: [{ service_delegation: { name: 'Microsoft.App/environments' } }],
    });
    const rules = built.document.resource['azurerm_network_security_group']?.['job_subnet_rules'];
    expect(rules?.['security_rule']).toMatchObject([
      { name: 'AllowSubnetInbound', source_address_prefix: '10.30.9.0/27' },
      { name: 'AllowLoadBalancerInbound' },
      { name: 'DenyOtherInbound', access: 'Deny' },
      { name: 'DenyManagementOutbound', access: 'Deny' },
    ]);
  });

  it('exists before the step that starts it, which knows its id', () => {
    const step = built.document.resource['terraform_data']?.['post_deploy'];
    expect(step?.['depends_on']).toContain('azurerm_container_app_job.post_deploy_job');
    expect(JSON.stringify(step)).toContain('azurerm_container_app_job.post_deploy_job.id');
  });
});
