import { beforeEach, describe, expect, it } from 'vitest';
import { federationOf } from '../../../../bootstrap/federation.ts';
import { bootstrapTemplate } from '../../../../bootstrap/template.ts';
import { workflowToken } from '../../../../local/azure/index.ts';
import { AzureClient } from '../../../support/azure-client.ts';
import { serverDocument, useLocalAzure } from '../../../support/azure-fixture.ts';
import { environments } from '../../../support/environments.ts';

const prefix = 'repo:acme@1234/database@5678';
const owner = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635';
const reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7';
const somebody = 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d01';
const assignments = 'providers/Microsoft.Authorization/roleAssignments';

describe('the identities of a pipeline, with the roles that bootstrap gives', () => {
  const local = useLocalAzure({ roleAssignmentDelayMs: 1000 });
  let plan: AzureClient;
  let deploy: AzureClient;
  const server = () => local.server('main');
  const workspace = () => local.resource('Microsoft.OperationalInsights/workspaces/logs-of-llama');
  const deployment = () => local.resource('Microsoft.Resources/deployments/key');
  const vault = () => local.resource('Microsoft.KeyVault/vaults/secrets');
  const role = (id: string) => ({
    properties: {
      roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${id}`,
      principalId: somebody,
      principalType: 'ServicePrincipal',
    },
  });

  beforeEach(async () => {
    const { subscriptionId } = local.azure;
    const template = bootstrapTemplate(environments.named('production'), {
      subscriptionId,
      federation: federationOf({ subjectPrefix: prefix }, 'production'),
    });
    const done = await local.client.done(
      'PUT',
      `/subscriptions/${subscriptionId}/providers/Microsoft.Resources/deployments/bootstrap`,
      { location: 'eastus', properties: { mode: 'Incremental', template } },
    );
    expect(done.body.status).toBe('Succeeded');
    local.azure.clock.advance(1000);
    const as = (purpose: string, subject: string) => {
      const found = local.azure.directory
        .list()
        .find(({ displayName }) => displayName === `llama-mapper-production-${purpose}`);
      return new AzureClient(local.azure, 'internet', {
        clientId: found?.appId ?? '',
        assertion: workflowToken(subject),
      });
    };
    plan = as('plan', `${prefix}:pull_request`);
    deploy = as('deploy', `${prefix}:environment:production`);
    await local.create('main');
    await local.client.done('PUT', workspace(), { location: 'eastus', properties: {} });
    await local.client.done('PUT', vault(), { location: 'eastus', properties: {} });
    await local.client.done('PUT', deployment(), {
      properties: { mode: 'Incremental', template: { resources: [] } },
    });
  });

  it('let the plan identity read everything, and export a template', async () => {
    for (const id of [
      local.group,
      server(),
      `${server()}/configurations`,
      workspace(),
      vault(),
      deployment(),
    ])
      expect((await plan.arm('GET', id)).status, id).toBe(200);
    expect((await plan.arm('POST', `${deployment()}/exportTemplate`)).status).toBe(200);
  });

  it('trust the one subject of bootstrap, and no form without ids', async () => {
    const found = local.azure.directory
      .list()
      .find(({ displayName }) => displayName === 'llama-mapper-production-deploy');
    for (const assertion of [
      workflowToken('repo:acme/database:environment:production'),
      workflowToken(`${prefix}:environment:staging`),
      workflowToken(`${prefix}:pull_request`),
      workflowToken(`${prefix}:environment:production`, 300, 'https://gitlab.com'),
    ])
      expect(
        (
          await new AzureClient(local.azure, 'internet', { clientId: found?.appId ?? '', assertion }).token(
            'https://management.azure.com',
          )
        ).text,
      ).toContain('AADSTS700213');
  });

  it('refuse an export to Reader alone, in the words of Azure', async () => {
    const custom = local.azure.state
      .ofType('Microsoft.Authorization/roleDefinitions')
      .find(({ body }) => JSON.stringify(body).includes('exportTemplate/action'));
    for (const { id, body } of local.azure.state.ofType('Microsoft.Authorization/roleAssignments'))
      if (custom && JSON.stringify(body).includes(custom.name)) local.azure.state.delete(id);
    const answer = await plan.arm('POST', `${deployment()}/exportTemplate`);
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'AuthorizationFailed' } } });
    expect(answer.body.error.message).toMatch(
      /^The client '\S+' with object id '\S+' does not have authorization to perform action 'Microsoft\.Resources\/deployments\/exportTemplate\/action' over scope '\/subscriptions\/.*\/deployments\/key' or the scope is invalid\. If access was recently granted, please refresh your credentials\.$/,
    );
  });

  it.each([
    ['a group', 'PUT', () => local.group, { location: 'eastus' }],
    ['a server', 'PATCH', server, { tags: {} }],
    ['a restart', 'POST', () => `${server()}/restart`, {}],
    ['a deletion', 'DELETE', server, undefined],
    ['a parameter', 'PUT', () => `${server()}/configurations/log_connections`, {}],
    ['a lock', 'PUT', () => `${server()}/providers/Microsoft.Authorization/locks/one`, {}],
    ['a role', 'PUT', () => `${local.group}/${assignments}/${somebody}`, role(reader)],
    ['a template', 'PUT', deployment, { properties: {} }],
    ['the shared key of a workspace', 'POST', () => `${workspace()}/sharedKeys`, undefined],
  ])('refuse the plan identity %s', async (_what, method, path, body) => {
    const before = local.azure.state.list().length;
    const answer = await plan.arm(method, path(), body);
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'AuthorizationFailed' } } });
    expect(local.azure.state.list().length).toBe(before);
  });

  it('let both read the state, and the deploy identity alone write it', async () => {
    const state = async (client: AzureClient, method: string) =>
      client.call(method, '/llama-mapper-production/llama-mapper.tfstate', {
        host: 'complyaistateproduction.blob.core.windows.net',
        headers: await client.authorization('https://storage.azure.com'),
        ...(method === 'PUT' ? { body: '{}' } : {}),
      });
    expect((await state(plan, 'PUT')).headers['x-ms-error-code']).toBe('AuthorizationPermissionMismatch');
    expect((await state(deploy, 'PUT')).status).toBe(201);
    expect((await state(plan, 'GET')).status).toBe(200);
  });

  it.each([
    ['change a server', 'PATCH', server, { tags: {} }],
    ['restart it', 'POST', () => `${server()}/restart`, {}],
    ['create a group', 'PUT', () => `${local.group}-two`, { location: 'eastus' }],
    ['give Reader away', 'PUT', () => `${local.group}/${assignments}/${somebody}`, role(reader)],
    ['lock a server', 'PUT', () => `${server()}/providers/Microsoft.Authorization/locks/one`, {}],
  ])('let the deploy identity %s', async (_what, method, path, body) => {
    expect((await deploy.arm(method, path(), body)).status).toBeLessThan(300);
  });

  const storage = () =>
    `/subscriptions/${local.azure.subscriptionId}/resourceGroups/comply-ai-production-state-rg/providers/Microsoft.Storage/storageAccounts/complyaistateproduction`;
  const identities = () =>
    `/subscriptions/${local.azure.subscriptionId}/resourceGroups/comply-ai-production-state-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities`;
  it.each([
    [
      'another shared key of a workspace',
      'POST',
      () => `${workspace()}/regenerateSharedKey`,
      { keyType: 'Primary' },
    ],
    ['the keys of a storage account', 'POST', () => `${storage()}/listKeys`, undefined],
    ['a role that no stack assigns', 'PUT', () => `${local.group}/${assignments}/${somebody}`, role(owner)],
    [
      'a way to sign in as another identity',
      'PUT',
      () => `${identities()}/llama-mapper-production-plan/federatedIdentityCredentials/mine`,
      { properties: {} },
    ],
    [
      'a registration of a provider',
      'POST',
      () => `/subscriptions/${local.azure.subscriptionId}/providers/Microsoft.Compute/register`,
      undefined,
    ],
    [
      'a definition of a role',
      'PUT',
      () => `${local.group}/providers/Microsoft.Authorization/roleDefinitions/${somebody}`,
      {},
    ],
  ])('refuse the deploy identity %s', async (_what, method, path, body) => {
    const answer = await deploy.arm(method, path(), body, 'any');
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'AuthorizationFailed' } } });
  });

  const logsTo = (id: string) => ({
    properties: { workspaceId: id, logs: [{ categoryGroup: 'allLogs', enabled: true }] },
  });
  it('let the deploy identity send the logs of a server to the workspace', async () => {
    const setting = `${server()}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`;
    expect((await deploy.arm('PUT', setting, logsTo(workspace()))).status).toBe(200);
  });

  it('let the deploy identity read the shared keys, which open no workspace without local authentication', async () => {
    expect((await deploy.arm('POST', `${workspace()}/sharedKeys`)).status).toBe(200);
    expect([...local.azure.sharedKeys.keys()]).toEqual([workspace()]);
    const closed = local.resource('Microsoft.OperationalInsights/workspaces/closed-logs');
    const features = (disableLocalAuth: boolean) => ({
      location: 'eastus',
      properties: { features: { disableLocalAuth } },
    });
    await local.client.done('PUT', closed, features(true));
    expect((await deploy.arm('POST', `${closed}/sharedKeys`)).status).toBe(200);
    expect([...local.azure.sharedKeys.keys()]).toEqual([workspace()]);
    await local.client.done('PUT', closed, features(false));
    expect([...local.azure.sharedKeys.keys()]).toEqual([workspace(), closed]);
  });

  it('let the deploy identity remove an assignment of its own roles only', async () => {
    const [owning] = local.azure.state.ofType('Microsoft.Authorization/roleAssignments');
    expect((await deploy.arm('DELETE', owning?.id ?? '')).status).toBe(403);
    const given = `${local.group}/${assignments}/${somebody}`;
    await deploy.arm('PUT', given, role(reader));
    expect((await deploy.arm('DELETE', given)).status).toBe(200);
  });

  it('keep both out of the data of vaults', async () => {
    for (const client of [plan, deploy]) {
      const answer = await client.call('GET', '/keys/fields?api-version=7.4', {
        host: 'secrets.vault.azure.net',
        headers: await client.authorization('https://vault.azure.net'),
      });
      expect(answer.status).toBe(403);
      expect(answer.text).toContain('ForbiddenByRbac');
    }
  });
});

describe('an assignment', () => {
  const local = useLocalAzure({ clientRoles: [] });
  const give = (id: string, scope: string, principalId = local.azure.directory.options.client.objectId) =>
    local.azure.state.put(`${scope}/${assignments}/${id}-${local.azure.state.list().length}`, {
      properties: {
        roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${id}`,
        principalId,
        createdOn: new Date(0).toISOString(),
      },
    });
  const code = async (method: string, path: string, body?: object) => {
    const answer = await local.client.arm(method, path, body);
    return answer.status < 300 ? answer.status : answer.body.error.code;
  };
  const contributor = 'b24988ac-6180-42a0-ab88-20f7382dd24c';

  it('holds at its scope and below, and nowhere else', async () => {
    expect(await code('PUT', local.group, { location: 'eastus' })).toBe('AuthorizationFailed');
    give(contributor, local.group);
    expect(await code('PUT', local.group, { location: 'eastus' })).toBe(201);
    expect(await code('PUT', local.server('main'), serverDocument())).toBe(202);
    expect(await code('PUT', `${local.group}-two`, { location: 'eastus' })).toBe('AuthorizationFailed');
  });

  it('holds for the members of a group', async () => {
    give(reader, local.group, somebody);
    expect(await code('GET', local.group)).toBe('AuthorizationFailed');
    local.azure.directory.addMember(somebody, local.azure.directory.options.client.objectId);
    expect(await code('GET', local.group)).toBe('ResourceGroupNotFound');
  });

  it('of a role with exceptions leaves them out', async () => {
    give(contributor, local.group);
    await local.client.arm('PUT', local.group, { location: 'eastus' });
    const lock = `${local.group}/providers/Microsoft.Authorization/locks/one`;
    expect(await code('PUT', lock, { properties: { level: 'CanNotDelete' } })).toBe('AuthorizationFailed');
  });

  it('reaches as far as the resources that a document refers to', async () => {
    give(contributor, local.group);
    await local.client.arm('PUT', local.group, { location: 'eastus' });
    const subnet = `${local.group}-network/providers/Microsoft.Network/virtualNetworks/net/subnets/one`;
    const injected = serverDocument({ properties: { network: { delegatedSubnetResourceId: subnet } } });
    const answer = await local.client.arm('PUT', local.server('main'), injected);
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'LinkedAuthorizationFailed' } } });
    expect(answer.body.error.message).toContain(
      `does not have permission to perform action(s) 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) '${subnet}'`,
    );
  });

  it('reaches a workspace for logs only with the right to read its shared keys', async () => {
    give(contributor, local.group);
    await local.client.arm('PUT', local.group, { location: 'eastus' });
    await local.create('main');
    const workspace = `${local.group}-central/providers/Microsoft.OperationalInsights/workspaces/logs`;
    const setting = `${local.server('main')}/providers/Microsoft.Insights/diagnosticSettings/one`;
    const body = {
      properties: { workspaceId: workspace, logs: [{ categoryGroup: 'allLogs', enabled: true }] },
    };
    const answer = await local.client.arm('PUT', setting, body);
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'LinkedAuthorizationFailed' } } });
    expect(answer.body.error.message).toContain(
      `'Microsoft.OperationalInsights/workspaces/sharedKeys/action' on the linked scope(s) '${workspace}'`,
    );
  });

  it('with a condition that is not known here is loud', async () => {
    const assignment = give(owner, local.group);
    assignment.body = {
      properties: {
        ...(assignment.body['properties'] as object),
        condition: "@Resource[x:y] StringEquals 'z'",
      },
    };
    expect((await local.client.arm('GET', local.group)).status).toBe(501);
    expect(local.azure.unknown[0]).toMatch(/The condition of a role assignment is not known here/);
  });
});
