import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TerraformStack } from 'cdktf';
import { afterEach, describe, expect, it, type TestContext } from 'vitest';
import { azurermVersion } from '../../azure/provider.ts';
import { ActionGroup } from '../../constructs/action-group.ts';
import { ActivityAlerts } from '../../constructs/activity-alerts.ts';
import { KeyVaultAlerts, ServerAlerts } from '../../constructs/alerts.ts';
import { Budget } from '../../constructs/budget.ts';
import { DeletionLock } from '../../constructs/deletion-lock.ts';
import { Diagnostics } from '../../constructs/diagnostics.ts';
import { AdoptedKeyVault, type IKeyVault, KeyVault } from '../../constructs/key-vault.ts';
import { KeyVaultKey } from '../../constructs/key-vault-key.ts';
import { LogAlerts } from '../../constructs/log-alerts.ts';
import { AdoptedLogAnalytics, type ILogAnalytics, LogAnalytics } from '../../constructs/log-analytics.ts';
import { LongTermBackup } from '../../constructs/long-term-backup.ts';
import { runnableStack } from './synthesized.ts';

const run = promisify(execFile);

const subscription = '/subscriptions/00000000-0000-0000-0000-000000000000';
const group = `${subscription}/resourceGroups/comply-ai-rg`;
const server = `${group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper`;
const inGroup = { resourceGroupName: 'comply-ai-rg', tags: { Environment: 'test' } };

/** All constructs for monitoring, protection and encryption, around the id of a server. */
function everything(stack: TerraformStack, vault: IKeyVault, logs: ILogAnalytics): void {
  const key = new KeyVaultKey(stack, 'fieldEncryptionKey', {
    name: 'field-encryption',
    vault,
    type: 'RSA-HSM',
    size: 3072,
    rotateAfter: 'P1Y',
    expireAfter: 'P2Y',
    users: {
      application: {
        principalId: '22222222-2222-2222-2222-222222222222',
        principalType: 'ServicePrincipal',
      },
    },
    tags: inGroup.tags,
  });
  const serverDiagnostics = new Diagnostics(stack, 'serverDiagnostics', {
    name: 'all-logs-and-metrics',
    targetResourceId: server,
    workspace: logs,
    dedicatedTables: true,
  });
  const vaultDiagnostics = new Diagnostics(stack, 'keyVaultDiagnostics', {
    name: 'all-logs-and-metrics',
    targetResourceId: vault.id,
    workspace: logs,
  });
  const actionGroup = new ActionGroup(stack, 'actionGroup', {
    ...inGroup,
    name: 'llama-mapper-alerts',
    shortName: 'llama-test',
    emails: [{ name: 'platform', address: 'platform@comply-ai.example' }],
  });
  const primary = {
    ...inGroup,
    actionGroupId: actionGroup.id,
    targetResourceId: server,
    targetName: 'llama-mapper',
  };
  const alerts = [
    new ServerAlerts(stack, 'serverAlerts', {
      ...primary,
      role: 'primary',
      burstable: true,
      replicated: true,
      maxConnections: 1718,
      databaseActivity: true,
      poolSize: 50,
    }),
    new ServerAlerts(stack, 'replicaAlerts', {
      ...primary,
      targetResourceId: `${server}-replica`,
      targetName: 'llama-mapper-replica',
      role: 'replica',
      burstable: false,
      maxConnections: 1718,
    }),
    new KeyVaultAlerts(stack, 'keyVaultAlerts', {
      ...primary,
      targetResourceId: vault.id,
      targetName: vault.name,
    }),
    new ActivityAlerts(stack, 'activityAlerts', {
      ...inGroup,
      namePrefix: 'llama-mapper',
      actionGroupId: actionGroup.id,
      serverIds: [server, `${server}-replica`],
      vaultIds: [vault.id],
    }),
    new LogAlerts(stack, 'logAlerts', {
      ...inGroup,
      location: 'eastus',
      namePrefix: 'llama-mapper',
      workspaceId: logs.id,
      actionGroupId: actionGroup.id,
      servers: ['llama-mapper'],
      administrators: ['llama-mapper-administrators'],
    }),
  ].flatMap((each) => each.resources);
  const backup = new LongTermBackup(stack, 'longTermBackup', {
    ...inGroup,
    vaultName: 'llama-mapper-backup',
    location: 'eastus',
    serverId: server,
    serverName: 'llama-mapper',
    serverResourceGroupId: group,
    retention: 'P7Y',
    firstRun: '2026-12-06T04:00:00Z',
    after: [serverDiagnostics.resource],
  });
  new Budget(stack, 'budget', {
    name: 'llama-mapper-budget',
    resourceGroupId: group,
    monthlyAmount: 2500,
    contacts: ['platform@comply-ai.example'],
    actionGroupId: actionGroup.id,
  });
  new DeletionLock(stack, 'deletionLock', {
    targets: { server, vault: vault.id },
    mode: 'inPlace',
    after: [
      ...key.resources,
      serverDiagnostics.resource,
      vaultDiagnostics.resource,
      ...alerts,
      ...backup.resources,
    ],
  });
}

const folders: string[] = [];
afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

interface Validation {
  readonly valid: boolean;
  readonly diagnostics: readonly { readonly severity: string; readonly summary: string }[];
}

/** `terraform init` and `terraform validate` with the real provider, from Terraform's implied local mirror. */
async function validate(context: TestContext, build: (stack: TerraformStack) => void): Promise<Validation> {
  const missing = await whatIsMissing();
  if (missing !== undefined) context.skip(missing);
  const folder = await mkdtemp(join(tmpdir(), 'llama-terraform-'));
  folders.push(folder);
  runnableStack(folder, build);
  const terraform = (...args: string[]) =>
    run('terraform', [`-chdir=${join(folder, 'stacks', 'test')}`, ...args], {
      env: terraformEnvironment(),
      maxBuffer: 1 << 24,
    });
  const { stdout } = await terraform('init', '-backend=false', '-input=false', '-no-color');
  // A provider from a local mirror has checksums for this platform only. The warning is about the mirror.
  expect([...stdout.matchAll(/Warning: (.+)/g)].map(([, summary]) => summary)).toEqual([
    'Incomplete lock file information for providers',
  ]);
  // With errors it exits 1 and still prints the report, which has the details.
  const report = await terraform('validate', '-json').catch((error: { stdout: string }) => error);
  return JSON.parse(report.stdout);
}

/** Terraform stops at once if its CLI configuration does not exist. */
function terraformEnvironment(): NodeJS.ProcessEnv {
  const { TF_CLI_CONFIG_FILE: configuration, ...rest } = process.env;
  return {
    ...rest,
    CHECKPOINT_DISABLE: '1',
    ...(configuration && existsSync(configuration) ? { TF_CLI_CONFIG_FILE: configuration } : {}),
  };
}

async function whatIsMissing(): Promise<string | undefined> {
  try {
    await run('terraform', ['version'], { env: terraformEnvironment() });
  } catch {
    return 'needs the terraform program on the PATH';
  }
  const mirror = join(
    homedir(),
    `.terraform.d/plugins/registry.terraform.io/hashicorp/azurerm/${azurermVersion}`,
    `${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`,
  );
  return existsSync(mirror) ? undefined : `needs the azurerm ${azurermVersion} provider in ${mirror}`;
}

describe(`terraform validate with azurerm ${azurermVersion}`, () => {
  it('finds no error and no warning in a stack of everything created', async (context) => {
    const validation = await validate(context, (stack) => {
      const vault = new KeyVault(stack, 'keyVault', {
        ...inGroup,
        name: 'comply-ai-kv',
        location: 'eastus',
        tenantId: '11111111-1111-1111-1111-111111111111',
        sku: 'premium',
      });
      const logs = new LogAnalytics(stack, 'logs', {
        ...inGroup,
        name: 'comply-ai-logs',
        location: 'eastus',
        retentionDays: 365,
        dailyQuotaGb: 1,
      });
      everything(stack, vault, logs);
    });
    expect(validation).toMatchObject({ valid: true, diagnostics: [] });
  }, 120_000);

  it('finds no error and no warning with an adopted vault and workspace', async (context) => {
    const validation = await validate(context, (stack) => {
      const vault = new AdoptedKeyVault(stack, 'keyVault', {
        name: 'comply-ai-keyvault',
        resourceGroupName: 'comply-ai-rg',
      });
      const logs = new AdoptedLogAnalytics(stack, 'logs', {
        name: 'comply-ai-logs',
        resourceGroupName: 'comply-ai-rg',
        minimumRetentionDays: 365,
      });
      everything(stack, vault, logs);
    });
    expect(validation).toMatchObject({ valid: true, diagnostics: [] });
  }, 120_000);
});
