import type { EnvironmentInput } from '../../environments/settings.ts';
import { lockType } from '../../local/azure/core/locks.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import { lockByHand } from '../sandbox/operator.ts';
import type { Scenario } from '../sandbox/scenario.ts';
import { anotherRegion, lockCount } from '../sandbox/variants.ts';

type Change = (input: EnvironmentInput) => void;

/** Changes of the settings that Azure cannot make on what exists, so that azurerm replaces it. */
const settings: Readonly<Record<string, Change>> = {
  'geo-redundant backup is the other way': ({ server }) => {
    server.backup.geoRedundant = !server.backup.geoRedundant;
  },
  'the server has another name': ({ server }) => {
    server.name += '-new';
  },
  'PostgreSQL is a version older': ({ server }) => {
    server.version = (server.version ?? 17) - 1;
  },
  'the disk is smaller': ({ server }) => {
    server.storage = { sizeGb: server.storage.sizeGb / 2, autoGrow: false };
  },
  'the server is encrypted with another key': ({ server }) => {
    const key = (region: string) => ({
      keyId: `https://${region}.vault.azure.net/keys/data`,
      identityId: `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/keys/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${region}`,
    });
    server.customerManagedKey = {
      primary: key('primary'),
      ...(server.backup.geoRedundant && { geoBackup: key('paired') }),
    };
  },
  'the server is in a subnet of its own': (input) => {
    if (input.network.mode !== 'privateEndpoint') throw new Error('this scenario begins with endpoints');
    const { primary } = input.network;
    input.network = {
      ...input.network,
      mode: 'virtualNetworkInjected',
      primary: {
        ...primary,
        virtualNetwork: {
          ...primary.virtualNetwork,
          addressSpace: [...(primary.virtualNetwork.addressSpace ?? []), '172.31.254.0/24'],
        },
        delegatedSubnet: { name: 'servers', range: '172.31.254.0/24' },
      },
    };
  },
  'everything is in another region': (input) => {
    input.location = anotherRegion(input);
  },
  'everything is in another resource group': ({ resourceGroup }) => {
    resourceGroup.name += '-new';
  },
  'the database has another name': ({ database }) => {
    database.name += '_new';
  },
  'the database has another collation': ({ database }) => {
    database.collation = 'de_DE.utf8';
  },
  'the vault has another name': ({ keyVault }) => {
    keyVault.name = `${keyVault.name.slice(0, -2)}zz`;
  },
  'the workspace has another name': ({ logAnalytics }) => {
    logAnalytics.name += '-new';
  },
  'resource group, vault and workspace belong to somebody else': (input) => {
    for (const one of [input.resourceGroup, input.keyVault, input.logAnalytics]) one.existing = true;
  },
};

const server = 'azurerm_postgresql_flexible_server';

/** Edits of the synthesized stack, as text, that no settings make. */
const edits: Readonly<Record<string, (document: string) => string>> = {
  'the server is restored to a point in time': (document) => {
    const stack = JSON.parse(document);
    stack.resource[server].server.point_in_time_restore_time_in_utc = '2026-01-01T00:00:00Z';
    return JSON.stringify(stack);
  },
  'the server has another address': (document) => {
    const stack = JSON.parse(
      document.replace(/azurerm_postgresql_flexible_server\.server\b/g, `${server}.moved`),
    );
    stack.resource[server] = { moved: stack.resource[server].server };
    return JSON.stringify(stack);
  },
  'the lock has another name': (document) => {
    const stack = JSON.parse(document);
    stack.resource.azurerm_management_lock.deletion_lock_server.name = 'another';
    return JSON.stringify(stack);
  },
};

export const scenario: Scenario = {
  name: 'replacement-refused',
  title: 'With the lock in place no change replaces or destroys data, and Azure is asked to change nothing',
  needs: ['lock', 'noReplica', 'privateEndpoint', 'shrinkableDisk', 'upgraded'],
  startsFrom: 'deployed',
  async run(sandbox) {
    const { azure } = sandbox;
    if (sandbox.quick) await lockByHand(sandbox);
    const locks = () => azure.state.ofType(lockType).length;
    sandbox.check(
      'server and vault are locked',
      locks() === lockCount(sandbox.settings),
      () => `there are ${locks()} locks`,
    );
    const [before] = azure.state.ofType(serverType);
    const begun = Date.now();
    let own: EnvironmentInput | undefined;
    const only =
      (change: Change): Change =>
      (input) => {
        own ??= structuredClone(input);
        Object.assign(input, structuredClone(own));
        change(input);
      };
    for (const [words, change] of Object.entries(settings))
      await sandbox.assertRefused(
        /has lifecycle\.prevent_destroy/,
        { change: only(change) },
        `refused: ${words}`,
      );
    await sandbox.assertEmptyPlan('with the settings as they were the plan is empty', {
      change: only(() => {}),
    });

    const stack = await sandbox.terraform();
    const document = await stack.document();
    const refused = async (words: string, parameters: readonly string[]) => {
      const run = await stack.run([...parameters, '-json', '-no-color']);
      const reason = run.diagnostics.find(({ severity }) => severity === 'error');
      sandbox.check(
        `refused by Terraform alone: ${words}`,
        run.exitCode !== 0 && /has lifecycle\.prevent_destroy/.test(reason?.detail ?? ''),
        () => (reason ? `${reason.summary}: ${reason.detail}` : 'it succeeded'),
      );
    };
    const apply = ['apply', '-auto-approve'];
    for (const [words, edit] of Object.entries(edits)) {
      await stack.replace(edit(document));
      await refused(words, apply);
    }
    await stack.replace(document);
    for (const address of [
      `${server}.server`,
      `${server}_database.database`,
      'azurerm_key_vault.key_vault',
    ]) {
      await refused(`${address} replaced by hand`, [...apply, `-replace=${address}`]);
      await refused(`${address} destroyed by hand`, [...apply, '-destroy', `-target=${address}`]);
    }
    await refused('the lock destroyed by hand', [
      ...apply,
      '-destroy',
      '-target=azurerm_management_lock.deletion_lock_server',
    ]);

    const changes = sandbox.changesSince(begun);
    sandbox.check('Azure was asked to change nothing', changes.length === 0, () => changes.join(', '));
    sandbox.check(
      'server and vault are still locked',
      locks() === lockCount(sandbox.settings),
      () => `there are ${locks()} locks`,
    );
    const [after] = azure.state.ofType(serverType);
    sandbox.check('the server is the one that there was', before !== undefined && after === before);
  },
};
