import { describe, expect, it } from 'vitest';
import { environments } from '../../environments/index.ts';
import type { AzureRequest, AzureResponse } from '../../local/azure/index.ts';
import { cascade } from '../../rehearsal/faults/cascade.ts';
import { faultKind } from '../../rehearsal/faults/faults.ts';
import { Injection } from '../../rehearsal/faults/injection.ts';
import type { Operation } from '../../rehearsal/faults/operations.ts';
import { startInterrupted } from '../../rehearsal/faults/rehearsal.ts';
import { changed } from '../../rehearsal/terraform/documents.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';

const missing = await whyNoTerraform();

/** What a deployment cannot do without, and one of each kind that is found in its own way. */
const kept = [
  'azurerm_resource_group',
  'azurerm_user_assigned_identity',
  'azurerm_postgresql_flexible_server',
  'azurerm_postgresql_flexible_server_active_directory_administrator',
  'azurerm_postgresql_flexible_server_database',
  'azurerm_key_vault',
  'azurerm_resource_group_template_deployment',
  'azurerm_role_assignment',
];

/** The environment's stack with these types only; the group is there already, which saves waiting for it. */
function small(document: string, imports: Readonly<Record<string, string>>): string {
  const stack = JSON.parse(document);
  const leftOut = Object.keys(stack.resource).filter((type) => !kept.includes(type));
  delete stack.output;
  return changed(JSON.stringify(stack), { leftOut, imports });
}

async function interrupted(fault: string, wanted: (operation: Operation) => boolean) {
  const settings = environments.named('staging');
  const injection = new Injection(wanted);
  const group = `/subscriptions/2b0942f3-9bca-484b-a508-abdae2db5e64/resourceGroups/${settings.resourceGroup.name}`;
  const rehearsal = await startInterrupted(settings, {
    injection,
    reduce: (document) => small(document, { 'azurerm_resource_group.resource_group': group }),
  });
  try {
    rehearsal.azure.state.put(group, {
      location: settings.location,
      tags: { ...settings.tags },
      properties: { provisioningState: 'Succeeded' },
    });
    return await cascade({ environment: 'staging', fault: faultKind(fault), ...rehearsal });
  } finally {
    await rehearsal.stop();
  }
}

describe('a deployment that goes wrong, with the real Terraform and azurerm', () => {
  it('killed at a server, its maintenance window and a role: after adopt the next one converges', {
    timeout: 400_000,
  }, async (context) => {
    context.skip(missing !== undefined, missing);
    const fatal = /^(?:PUT|PATCH) \S+ DBforPostgreSQL\/flexibleServers\/[^/]+$|roleAssignments/;
    const { cases, rounds, problems } = await interrupted('kill-middle', ({ key }) => fatal.test(key));
    expect(problems).toEqual([]);
    expect(cases.map(({ address, recovery }) => [address.split('.')[0], recovery]).sort()).toEqual([
      ['azurerm_postgresql_flexible_server', 'adopt'],
      // Its maintenance window: the state that knew the adopted server was lost with the second run.
      ['azurerm_postgresql_flexible_server', 'adopt'],
      ['azurerm_role_assignment', 'adopt'],
    ]);
    // Each killed run has left its lease on the state.
    expect(rounds.map(({ exitCode, brokeLock }) => [exitCode, brokeLock])).toEqual([
      ...cases.map(() => [137, true]),
      [0, false],
    ]);
  });

  it('not told of the end of an operation: adopt finds exactly what is left, and nothing is orphaned', {
    timeout: 400_000,
  }, async (context) => {
    context.skip(missing !== undefined, missing);
    const some = /userAssignedIdentities|administrators|databases\//;
    const { cases, problems } = await interrupted('lost', ({ key }) => some.test(key));
    expect(problems).toEqual([]);
    expect(cases.map(({ recovery }) => recovery)).toEqual(['adopt', 'adopt', 'adopt']);
  });
});

describe('a fault', () => {
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

  it('of a request happens to each operation once, and to no look', () => {
    const injection = new Injection();
    injection.arm(faultKind('throttled'), () => undefined);
    expect(injection.before(request('GET', 'Microsoft.Network/virtualNetworks/net'))).toBeUndefined();
    expect(injection.before(put)).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
    expect(injection.before(put)).toBeUndefined();
    expect(injection.disarm().map(({ key }) => key)).toEqual(['PUT g Network/virtualNetworks/net']);
  });

  it('says ServerIsBusy of what belongs to a server, and what the network says of the rest', () => {
    const injection = new Injection();
    injection.arm(faultKind('busy'), () => undefined);
    const server = request('PUT', 'Microsoft.DBforPostgreSQL/flexibleServers/one/databases/two');
    expect(injection.before(server)).toMatchObject({
      status: 409,
      body: { error: { code: 'ServerIsBusy' } },
    });
    expect(injection.before(put)).toMatchObject({ body: { error: { code: 'AnotherOperationInProgress' } } });
  });

  it('in the middle comes after the work was accepted, one at the end when a poll has said so', () => {
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

  it('of a poll happens to the first poll of each operation', () => {
    const injection = new Injection();
    injection.arm(faultKind('poll-failed'), () => undefined);
    expect(injection.before(put)).toBeUndefined();
    injection.after(put, accepted);
    expect(injection.before(poll)).toMatchObject({ status: 500 });
    expect(injection.before(poll)).toBeUndefined();
  });

  it('that ends the deployment happens once in a run, and to the next operation in the next one', () => {
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

  it('leaves alone what is not wanted, and what had it in an earlier run', () => {
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
