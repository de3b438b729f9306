import { describe, expect, it } from 'vitest';
import type { AzureRequest, AzureResponse } from '../../local/azure/index.ts';
import { converge } from '../../rehearsal/faults/convergence.ts';
import { type FaultKind, faultKind } from '../../rehearsal/faults/fault-kinds.ts';
import { Injection } from '../../rehearsal/faults/injection.ts';
import type { Operation } from '../../rehearsal/faults/operations.ts';
import { Sandbox } from '../../rehearsal/sandbox/sandbox.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { includesLong, takesMinutes } from '../support/extent.ts';
import { ownNearest } from '../support/own.ts';

const missing = await whyNoTerraform();

/** The types that the others depend on, and one of each kind that adopt finds in its own way. */
const only = [
  'azurerm_resource_group',
  'azurerm_user_assigned_identity',
  'azurerm_postgresql_flexible_server',
  'azurerm_postgresql_flexible_server_active_directory_administrator',
  'azurerm_postgresql_flexible_server_database',
  'azurerm_key_vault',
  'azurerm_resource_group_template_deployment',
  'azurerm_role_assignment',
];

/** Converges a small environment with faults. Its resource group exists already, which saves the provider's wait for it. */
async function convergeSmall(
  fault: string | ((sandbox: Sandbox) => FaultKind),
  wanted: (operation: Operation) => boolean,
  types = only,
) {
  const sandbox = await Sandbox.open({
    environment: ownNearest('noReplica', 'newGroup', 'remoteState', 'standby'),
    only: types,
    database: false,
  });
  try {
    const { azure, settings } = sandbox;
    const group = `/subscriptions/${azure.subscriptionId}/resourceGroups/${settings.resourceGroup.name}`;
    azure.state.put(group, {
      location: settings.location,
      tags: { ...settings.tags },
      properties: { provisioningState: 'Succeeded' },
    });
    return await converge(sandbox, {
      fault: typeof fault === 'string' ? faultKind(fault) : fault(sandbox),
      injection: new Injection(wanted),
      imports: { 'azurerm_resource_group.resource_group': group },
    });
  } finally {
    await sandbox.close();
  }
}

describe('a convergence run, with the real Terraform and azurerm', () => {
  it('recovers by adopt from kills at a server, its maintenance window and a role', {
    timeout: 400_000,
  }, async (context) => {
    context.skip(missing !== undefined, missing);
    const fatal = /^(?:PUT|PATCH) \S+ DBforPostgreSQL\/flexibleServers\/[^/]+$|roleAssignments/;
    const { cases, rounds, problems } = await convergeSmall('kill-middle', ({ key }) => fatal.test(key));
    expect(problems).toEqual([]);
    expect(cases.map(({ address, recovery }) => [address.split('.')[0], recovery]).sort()).toEqual([
      ['azurerm_postgresql_flexible_server', 'adopt'],
      // Its maintenance window: the second killed run lost the state with the adopted server.
      ['azurerm_postgresql_flexible_server', 'adopt'],
      ['azurerm_role_assignment', 'adopt'],
    ]);
    // Each killed run left its lease on the state.
    expect(rounds.map(({ exitCode, brokeLock }) => [exitCode, brokeLock])).toEqual([
      ...cases.map(() => [137, true]),
      [0, false],
    ]);
  });

  it('recovers by adopt from lost answers, and orphans no resource', {
    timeout: 400_000,
  }, async (context) => {
    context.skip(missing !== undefined, missing);
    context.skip(!includesLong, takesMinutes);
    const some = /userAssignedIdentities|administrators|databases\//;
    const { cases, problems } = await convergeSmall('lost', ({ key }) => some.test(key));
    expect(problems).toEqual([]);
    expect(cases.map(({ recovery }) => recovery)).toEqual(['adopt', 'adopt', 'adopt']);
  });
});

describe('the search for secrets after each deployment of a convergence run', () => {
  it('finds one in the output and in a version of a blob that was replaced', {
    timeout: 100_000,
  }, async (context) => {
    context.skip(missing !== undefined, missing);
    /** Azure's refusal has a secret in its message, and a blob holds it for a moment. */
    const careless = (sandbox: Sandbox): FaultKind => {
      const { azure } = sandbox;
      const secret = azure.directory.options.clientSecret;
      return {
        ...faultKind('failed'),
        answer: () => {
          const blob = { contentType: '', lease: undefined, etag: '', modifiedAt: new Date(), metadata: {} };
          for (const text of [secret, 'replaced'])
            azure.blobs.keep('account/container/passing', { ...blob, content: Buffer.from(text) });
          return { status: 400, body: { error: { code: 'BadRequest', message: `refused ${secret}` } } };
        },
      };
    };
    const identity = ['azurerm_resource_group', 'azurerm_user_assigned_identity'];
    const { rounds, problems } = await convergeSmall(
      careless,
      ({ key }) => key.includes('userAssignedIdentities'),
      identity,
    );
    expect(rounds).toHaveLength(1);
    expect(problems).toEqual([
      'the client secret is in version 1 of blob account/container/passing',
      'the client secret is in the output of deploy (1)',
    ]);
  });
});

describe('an injected fault', () => {
  const request = (method: string, path: string): AzureRequest => ({
    method,
    host: 'management.azure.com',
    path: `/subscriptions/s/resourceGroups/g/providers/${path}`,
    query: new URLSearchParams(),
    headers: {},
    body: Buffer.alloc(0),
  });
  const put = request('PUT', 'Microsoft.Network/virtualNetworks/net');
  const poll = request('GET', 'Microsoft.Network/locations/global/azureAsyncOperation/one');
  const accepted: AzureResponse = {
    status: 202,
    headers: { 'azure-asyncoperation': 'https://management.azure.com/x/azureAsyncOperation/one?v=1' },
  };
  const ended: AzureResponse = { status: 200, body: { status: 'Succeeded' } };
  const running: AzureResponse = { status: 200, body: { status: 'InProgress' } };

  it('of a request hits each operation once, and no read', () => {
    const injection = new Injection();
    injection.arm(faultKind('throttled'), () => undefined);
    expect(injection.before(request('GET', 'Microsoft.Network/virtualNetworks/net'))).toBeUndefined();
    expect(injection.before(put)).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(injection.before(put)).toBeUndefined();
    expect(injection.disarm().map(({ key }) => key)).toEqual(['PUT g Network/virtualNetworks/net']);
  });

  it('of a busy Azure answers as Flexible Server for servers, and as the network for other resources', () => {
    const injection = new Injection();
    injection.arm(faultKind('busy'), () => undefined);
    const server = request('PUT', 'Microsoft.DBforPostgreSQL/flexibleServers/one/databases/two');
    expect(injection.before(server)).toMatchObject({
      status: 409,
      body: { error: { code: 'ServerIsBusy' } },
    });
    expect(injection.before(put)).toMatchObject({ body: { error: { code: 'AnotherOperationInProgress' } } });
  });

  it('in the middle comes after Azure has accepted the operation; at the end, after a poll has reported it', () => {
    let stopped = 0;
    const middle = new Injection();
    middle.arm(faultKind('lost'), () => undefined);
    expect(middle.before(put)).toBeUndefined();
    expect(middle.after(put, accepted)).toBe('drop');
    const end = new Injection();
    end.arm(faultKind('kill-end'), () => stopped++);
    expect(end.after(put, accepted)).toBeUndefined();
    expect(end.after(poll, running)).toBeUndefined();
    expect(stopped).toBe(0);
    expect(end.after(poll, ended)).toBe('drop');
    expect(stopped).toBe(1);
  });

  it('of a poll hits the first poll of each operation', () => {
    const injection = new Injection();
    injection.arm(faultKind('poll-failed'), () => undefined);
    expect(injection.before(put)).toBeUndefined();
    injection.after(put, accepted);
    expect(injection.before(poll)).toMatchObject({ status: 500 });
    expect(injection.before(poll)).toBeUndefined();
  });

  it('that ends the deployment happens once per run, and hits another operation in the next run', () => {
    let stopped = 0;
    const injection = new Injection();
    const other = request('PUT', 'Microsoft.KeyVault/vaults/vault');
    injection.arm(faultKind('interrupt-start'), () => stopped++);
    expect(injection.before(put)).toBeUndefined();
    expect(injection.before(other)).toBeUndefined();
    expect(stopped).toBe(1);
    expect(injection.disarm()).toHaveLength(1);
    injection.arm(faultKind('interrupt-start'), () => stopped++);
    injection.before(put);
    injection.before(other);
    expect(injection.disarm().map(({ key }) => key)).toEqual(['PUT g KeyVault/vaults/vault']);
  });

  it('spares unwanted operations and those of an earlier run', () => {
    const injection = new Injection(
      ({ key }) => !key.includes('vaults'),
      ['PUT g Network/virtualNetworks/net'],
    );
    injection.arm(faultKind('failed'), () => undefined);
    expect(injection.before(put)).toBeUndefined();
    expect(injection.before(request('PUT', 'Microsoft.KeyVault/vaults/vault'))).toBeUndefined();
    expect(injection.before(request('PUT', 'Microsoft.Insights/actionGroups/one'))).toMatchObject({
      status: 500,
    });
  });
});
