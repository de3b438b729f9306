import { describe, expect, it } from 'vitest';
import type { Ended } from '../../local/processes/program.ts';
import { readCdktf } from '../../rehearsal/terraform/cdktf-output.ts';

/** Lines as cdktf 0.21 printed them, half a second apart. */
function ended(exitCode: number, ...texts: string[]): Ended {
  const lines = texts.map((text, index) => ({ at: 10_000 + index * 500, text }));
  const endedAt = 10_000 + texts.length * 500;
  const output = texts.join('\n');
  const times = { startedAt: 9000, endedAt, milliseconds: endedAt - 9000 };
  return { ...times, exitCode, lines, output, stdout: output, stderr: '' };
}

const id = '/subscriptions/2b0942f3/resourceGroups/comply-ai-development-rg';

describe('the output of cdktf', () => {
  it('contains resources with their ids, lines of the post-deploy step, and phases', () => {
    const read = readCdktf(
      ended(
        0,
        'development  Initializing the backend...',
        '             Terraform has been successfully initialized!',
        '             # azurerm_resource_group.resource_group (resource_group/Default) will be created',
        'development  azurerm_resource_group.resource_group (resource_group/Default): Creating...',
        'development  azurerm_resource_group.resource_group (resource_group/Default): Still creating... [10s elapsed]',
        `             azurerm_resource_group.resource_group (resource_group/Default): Creation complete after 20s [id=${id}]`,
        'development  terraform_data.post_deploy (post_deploy/Default): Creating...',
        `development  terraform_data.post_deploy (post_deploy/Default) (local-exec): Executing: ["/bin/sh" "-c" "node commands/llama-db.mjs post-deploy"]`,
        'development  terraform_data.post_deploy (post_deploy/Default) (local-exec): Verified: 130 passed, 0 failed, 9 skipped (1.2 s)',
        'development  terraform_data.post_deploy (post_deploy/Default): Creation complete after 7s [id=71d3a3af]',
        '             Apply complete! Resources: 2 added, 0 changed, 0 destroyed.',
      ),
      'development',
      'deploy',
    );
    expect(read.resources).toEqual([
      {
        ...{ address: 'azurerm_resource_group.resource_group', action: 'create', id },
        ...{ startedAt: 11_500, endedAt: 12_500, seconds: 1, outcome: 'complete' },
      },
      {
        ...{ address: 'terraform_data.post_deploy', action: 'create', id: '71d3a3af' },
        ...{ startedAt: 13_000, endedAt: 14_500, seconds: 1.5, outcome: 'complete' },
      },
    ]);
    expect(read.steps).toEqual([{ at: 14_000, text: 'Verified: 130 passed, 0 failed, 9 skipped (1.2 s)' }]);
    expect(read.changes).toEqual(['create azurerm_resource_group.resource_group']);
    expect(read.phases.map(({ name, startedAt }) => [name, startedAt])).toEqual([
      ['synthesis', 9000],
      ['initialisation', 10_000],
      ['plan', 10_500],
      ['apply', 11_500],
    ]);
    expect(read.diagnostics).toEqual([]);
    expect(read.isEmpty).toBe(false);
  });

  it('marks an empty plan', () => {
    const text = 'production  \u001B[0m\u001B[1mNo changes. Your infrastructure matches the configuration.';
    expect(readCdktf(ended(0, text), 'production', 'diff').isEmpty).toBe(true);
  });

  it('contains an error with its address and its reason, and the resource in progress', () => {
    const read = readCdktf(
      ended(
        1,
        'production  azurerm_postgresql_flexible_server_virtual_endpoint.virtual_endpoint (virtual_endpoint/Default): Destroying... [id=x]',
        'production  ╷',
        '            │ Error: deleting Virtual Endpoint: unexpected status 409 (409 Conflict) with error: ScopeLocked',
        '            │ ',
        '            │   with azurerm_postgresql_flexible_server_virtual_endpoint.virtual_endpoint (virtual_endpoint/Default),',
        '            │   on cdk.tf.json line 12, in resource.azurerm_postgresql_flexible_server_virtual_endpoint:',
        '            │ The scope cannot perform delete operation.',
        '            ╵',
      ),
      'production',
      'deploy',
    );
    expect(read.diagnostics).toEqual([
      {
        severity: 'error',
        summary: 'deleting Virtual Endpoint: unexpected status 409 (409 Conflict) with error: ScopeLocked',
        address: 'azurerm_postgresql_flexible_server_virtual_endpoint.virtual_endpoint',
        detail: 'The scope cannot perform delete operation.',
      },
    ]);
    expect(read.resources).toMatchObject([{ action: 'delete', outcome: 'errored' }]);
  });

  it('leaves out the paths of constructs and the words of cdktf after an error', () => {
    const { diagnostics } = readCdktf(
      ended(
        1,
        'staging  Error: Instance cannot be destroyed',
        '',
        '           on cdk.tf.json line 2425, in resource.terraform_data:',
        '         2425:       "protected_database_id": {',
        '',
        '         Resource terraform_data.protected_database_id (protected/database_id) has lifecycle.prevent_destroy',
        '         set, but the plan calls for this resource to be destroyed.',
        '',
        'staging  Warning: Check block assertion failed',
        '         The disk has 256 GB.',
        '0 Stacks deploying     1 Stack done     0 Stacks waiting',
        'Invoking Terraform CLI failed with exit code 1',
      ),
      'staging',
      'deploy',
    );
    expect(diagnostics).toEqual([
      {
        severity: 'error',
        summary: 'Instance cannot be destroyed',
        detail:
          'Resource terraform_data.protected_database_id has lifecycle.prevent_destroy set, but the plan calls for this resource to be destroyed.',
      },
    ]);
  });

  it('gives the last lines of a run that failed without an error of Terraform', () => {
    const read = readCdktf(ended(1, 'environments/production.ts: server.sku is 1'), 'production', 'deploy');
    expect(read.diagnostics).toMatchObject([{ summary: 'environments/production.ts: server.sku is 1' }]);
  });
});
