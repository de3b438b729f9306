import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { stableGuid } from '../../azure/guid.ts';
import { federationOf } from '../../bootstrap/federation.ts';
import { roleDefinition } from '../../bootstrap/roles.ts';
import { bootstrapTemplate, resourceProviders } from '../../bootstrap/template.ts';
import { parseEnvironments } from '../../environments/collection.ts';
import { environments as own } from '../../environments/index.ts';
import { resolve } from '../../environments/resolved.ts';
import { environments } from '../support/environments.ts';
import { ownWith, whyNoOwn } from '../support/own.ts';

const run = promisify(execFile);
const prefix = 'repo:acme@1234/database@5678';
const subscription = '11111111-2222-4333-8444-555555555555';

function templateOf(name: string) {
  const template = bootstrapTemplate(environments.named(name), {
    subscriptionId: subscription,
    federation: federationOf({ subjectPrefix: prefix }, name),
  });
  if (!template) throw new Error(`${name} has no template`);
  return JSON.parse(JSON.stringify(template));
}

function customRole(purpose: 'plan' | 'deployment', name: string) {
  const role = everyResource(templateOf(name)).find(
    (each) => each.properties?.['roleName'] === `llama-mapper ${purpose} (${name})`,
  );
  if (!role) throw new Error(`${name} defines no role for its ${purpose}`);
  const [permission] = role.properties['permissions'] as { actions: string[]; notActions: string[] }[];
  if (!permission) throw new Error(`${name}'s role permits nothing`);
  return permission;
}

type Resource = { type: string; name: string; properties: Record<string, unknown> };

function everyResource(template: { resources: Resource[] }): Resource[] {
  return template.resources.flatMap((resource) => {
    const nested = resource.properties?.['template'] as { resources: Resource[] } | undefined;
    return nested ? [resource, ...everyResource(nested)] : [resource];
  });
}

describe('the bootstrap of a subscription', () => {
  it('closes the state to account keys and to the public', () => {
    const account = everyResource(templateOf('production')).find(
      (each) => each.type === 'Microsoft.Storage/storageAccounts',
    );
    expect(account?.properties).toMatchObject({ allowSharedKeyAccess: false, allowBlobPublicAccess: false });
    expect(account?.name).toBe('complyaistateproduction');
    expect(account?.name).not.toBe('complyaistorage');
  });

  it('lets a pull request plan and only the protected environment apply', () => {
    const subjects = everyResource(templateOf('production'))
      .filter((each) => each.type.endsWith('federatedIdentityCredentials'))
      .map((each) => [each.name, each.properties['subject']]);
    expect(subjects).toEqual([
      ['llama-mapper-production-plan/github', `${prefix}:pull_request`],
      ['llama-mapper-production-deploy/github', `${prefix}:environment:production`],
    ]);
  });

  it('keeps the states of two environments in accounts and groups of their own', () => {
    const places = ['staging', 'production'].map((name) => {
      const { state } = environments.named(name);
      return state.backend === 'azurerm' ? [state.resourceGroup, state.storageAccount] : [];
    });
    expect(new Set(places.flat()).size).toBe(4);
  });

  it.each([
    [
      'Azure DevOps',
      'https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0',
      '/eid1/c/pub/t/v4j5cvGGr0GRqy180BHbRw/a/9ZQ1dlmaJkqd/sc/1e2f/plan',
      '/eid1/c/pub/t/v4j5cvGGr0GRqy180BHbRw/a/9ZQ1dlmaJkqd/sc/1e2f/deploy',
    ],
    [
      'GitLab',
      'https://gitlab.com',
      'project_path:acme/database',
      'project_path:acme/database:ref_type:branch:ref:main',
    ],
  ])('trusts the subjects of %s to the letter', (_, issuer, planSubject, deploySubject) => {
    const template = bootstrapTemplate(environments.named('production'), {
      subscriptionId: subscription,
      federation: federationOf({ issuer, planSubject, deploySubject }, 'production'),
    });
    const trusted = everyResource(JSON.parse(JSON.stringify(template)))
      .filter((each) => each.type.endsWith('federatedIdentityCredentials'))
      .map(({ name, properties }) => [name, properties['issuer'], properties['subject']]);
    expect(trusted).toEqual([
      ['llama-mapper-production-plan/pipeline', issuer, planSubject],
      ['llama-mapper-production-deploy/pipeline', issuer, deploySubject],
    ]);
  });

  const gitlab = { issuer: 'https://gitlab.com', planSubject: 'plan', deploySubject: 'deploy' };
  it.each([
    ['nothing', {}, 'bootstrap/subject-missing'],
    ['a name without repo:', { subjectPrefix: 'acme/database' }, 'bootstrap/subject-malformed'],
    ['an id of the owner alone', { subjectPrefix: 'repo:acme@1/database' }, 'bootstrap/subject-malformed'],
    ['a whole subject', { subjectPrefix: `${prefix}:pull_request` }, 'bootstrap/subject-malformed'],
    ['a prefix and an issuer', { ...gitlab, subjectPrefix: prefix }, 'bootstrap/subject-malformed'],
    ['an issuer alone', { issuer: gitlab.issuer }, 'bootstrap/subject-missing'],
    ['a subject alone', { planSubject: 'plan' }, 'bootstrap/subject-missing'],
    ['an issuer without TLS', { ...gitlab, issuer: 'http://gitlab.com' }, 'bootstrap/issuer-malformed'],
    ['an issuer that is no URL', { ...gitlab, issuer: 'gitlab.com' }, 'bootstrap/issuer-malformed'],
    ['a wildcard', { ...gitlab, planSubject: 'project_path:acme/*' }, 'bootstrap/subject-malformed'],
    ['an empty subject', { ...gitlab, deploySubject: ' ' }, 'bootstrap/subject-malformed'],
    [
      'a subject of 601 characters',
      { ...gitlab, planSubject: 'p'.repeat(601) },
      'bootstrap/subject-malformed',
    ],
    ['one subject for both', { ...gitlab, planSubject: 'deploy' }, 'bootstrap/subjects-equal'],
  ] as const)('refuses %s', (_, request, code) => {
    expect(() => federationOf(request, 'production')).toThrow(expect.objectContaining({ code, exitCode: 2 }));
  });

  it('gives the deploy role the actions of the stack and no wildcard over everything', () => {
    const permission = customRole('deployment', 'production');
    expect(permission.notActions).toEqual([]);
    const matches = (action: string) =>
      permission.actions.filter((each) =>
        new RegExp(`^${each.replaceAll('.', '\\.').replaceAll('*', '.*')}$`, 'i').test(action),
      );
    // A diagnostic setting needs it; the workspace accepts no shared key.
    expect(matches('Microsoft.OperationalInsights/workspaces/sharedKeys/action')).not.toEqual([]);
    expect(matches('Microsoft.Storage/storageAccounts/listKeys/action')).toEqual([]);
    expect(matches('Microsoft.DBforPostgreSQL/flexibleServers/write')).not.toEqual([]);
    const identity = 'Microsoft.ManagedIdentity/userAssignedIdentities';
    expect(matches(`${identity}/federatedIdentityCredentials/write`)).toEqual([]);
    expect(matches(`${identity}/write`)).not.toEqual([]);
    expect(matches(`${identity}/assign/action`)).not.toEqual([]);
  });

  it('lets the deploy identity assign the roles of the stack, and no other', () => {
    const template = templateOf('production');
    const [plan, refresh, deploy] = template.resources.filter(
      (each: Resource) => each.type === 'Microsoft.Authorization/roleAssignments',
    );
    expect(plan.properties.condition).toBeUndefined();
    expect(refresh.properties.condition).toBeUndefined();
    expect(deploy.properties.conditionVersion).toBe('2.0');
    const lists = [...deploy.properties.condition.matchAll(/(@\w+)\[[^\]]*\] \S+:GuidEquals \{([^}]*)\}/g)];
    expect(lists.map(([, source]) => source)).toEqual(['@Request', '@Resource']);
    for (const [, , ids] of lists) {
      expect(ids.split(', ').sort()).toEqual([
        // Monitoring Reader, Reader, the backup vault's role on a server, and Key Vault Crypto Service Encryption User.
        '43d0d8ad-25c7-4714-9337-8ba259a9fe05',
        'acdd72a7-3385-48ef-bd42-f606fba81ae7',
        'c088a766-074b-43ba-90d4-1fb21feae531',
        'e147488a-f6f5-4113-8e2d-b22465e65bf6',
      ]);
    }
  });

  it('lets the planning identity refresh what Reader cannot, and nothing else', () => {
    expect(customRole('plan', 'production')).toEqual({
      actions: ['Microsoft.Resources/deployments/exportTemplate/action'],
      notActions: [],
    });
  });

  it('covers every provider of the stacks with the deploy role', () => {
    const permission = customRole('deployment', 'staging');
    // The state's storage account is the bootstrap's own; the stacks never touch it.
    for (const namespace of resourceProviders({}).filter((each) => each !== 'Microsoft.Storage')) {
      expect(
        permission.actions.some((action) => action.startsWith(`${namespace}/`)),
        namespace,
      ).toBe(true);
    }
  });

  it('gives rights on jobs, and registers their provider, only with the setting postDeployJob', () => {
    const onJobs = (owner: Parameters<typeof roleDefinition>[2], purpose: 'plan' | 'deploy') =>
      roleDefinition(purpose, 's', owner).properties.permissions.flatMap(({ actions }) =>
        actions.filter((action) => action.startsWith('Microsoft.App/')),
      );
    const owner = { project: { name: 'llama-mapper' }, name: 'production' };
    expect([...onJobs(owner, 'plan'), ...onJobs(owner, 'deploy')]).toEqual([]);
    expect(resourceProviders({})).not.toContain('Microsoft.App');
    const withJob = { ...owner, postDeployJob: {} };
    expect(resourceProviders(withJob)).toContain('Microsoft.App');
    expect(onJobs(withJob, 'plan')).toEqual(['Microsoft.App/jobs/listSecrets/action']);
    expect(onJobs(withJob, 'deploy')).toEqual(
      expect.arrayContaining([
        'Microsoft.App/jobs/start/action',
        'Microsoft.App/jobs/execution/read',
        'Microsoft.App/jobs/stop/execution/action',
        'Microsoft.App/managedEnvironments/join/action',
      ]),
    );
    expect(onJobs(withJob, 'deploy').filter((action) => action.includes('*'))).toEqual([
      'Microsoft.App/locations/*/read',
    ]);
  });

  it('names assignments the same at every run and differently per environment', () => {
    expect(stableGuid('a', 'b')).toBe(stableGuid('a', 'b'));
    expect(stableGuid('a', 'b')).not.toBe(stableGuid('ab'));
    expect(stableGuid('a')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const names = (environment: string) =>
      everyResource(templateOf(environment))
        .filter((each) => each.type === 'Microsoft.Authorization/roleAssignments')
        .map((each) => each.name);
    expect(names('production')).toEqual(names('production'));
    expect(new Set([...names('production'), ...names('staging')]).size).toBe(10);
  });

  it('prints the template, and refuses bad arguments in one line', async ({ skip }) => {
    const llama = (...args: string[]) =>
      run(process.execPath, ['commands/llama-db.mjs', 'bootstrap', ...args, '--subject-prefix', prefix]);
    const [remote, local] = [ownWith('remoteState'), ownWith('localState')];
    if (remote === undefined) return skip(true, whyNoOwn('remoteState'));
    const { stdout } = await llama(remote, '--subscription', subscription, '--print');
    const template = bootstrapTemplate(own.named(remote), {
      subscriptionId: subscription,
      federation: federationOf({ subjectPrefix: prefix }, remote),
    });
    expect(JSON.parse(stdout)).toEqual(JSON.parse(JSON.stringify(template)));

    for (const [args, message] of [
      ...(local === undefined
        ? []
        : [[[local, '--subscription', subscription], /\[bootstrap\/state-is-local\]/] as const]),
      [[remote, '--subscription', 'mine'], /"mine".*\[bootstrap\/subscription-malformed\]/],
      [['moon', '--subscription', subscription], /environment moon: .*\[environment\/unknown\]/],
    ] as const) {
      const failure = await llama(...args).catch((error: { code: number; stderr: string }) => error);
      expect(failure).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
      expect('stderr' in failure && failure.stderr.trim().split('\n').length).toBe(1);
    }
  }, 60_000);
});

describe("the state's account", () => {
  const skuIn = (location: string) => {
    const [settings] = parseEnvironments([
      {
        ...environments.inputOf('staging'),
        location,
        server: {
          ...environments.inputOf('staging').server,
          zone: undefined,
          highAvailability: undefined,
          backup: { retentionDays: 14, geoRedundant: false },
        },
      },
    ]);
    const template =
      settings &&
      bootstrapTemplate(resolve(settings), {
        subscriptionId: subscription,
        federation: federationOf({ subjectPrefix: prefix }, 'staging'),
      });
    return everyResource(JSON.parse(JSON.stringify(template)))
      .filter(({ type }) => type === 'Microsoft.Storage/storageAccounts')
      .map((account) => (account as unknown as { sku: { name: string } }).sku.name);
  };

  it('has the most copies that the region offers', () => {
    expect(['eastus', 'northcentralus', 'polandcentral'].flatMap(skuIn)).toEqual([
      'Standard_RAGZRS',
      'Standard_RAGRS',
      'Standard_ZRS',
    ]);
  });
});
