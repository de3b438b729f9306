import { processesOf } from '../../local/processes/process-tree.ts';
import { faultKind } from '../faults/fault-kinds.ts';
import { Injection } from '../faults/injection.ts';
import { runAdopt } from '../sandbox/commands.ts';
import type { Scenario } from '../sandbox/scenario.ts';

const server = 'azurerm_postgresql_flexible_server.server';

export const scenario: Scenario = {
  name: 'deploy-killed',
  title:
    'After a first deployment was killed while Azure created the server, and after llama-db adopt, the next one completes',
  needs: [],
  prefers: ['remoteState', 'noReplica'],
  isLong: true,
  startsFrom: 'empty',
  startsProvider: true,
  async run(sandbox) {
    const { name } = sandbox.settings.server;
    const injection = new Injection(
      ({ key }) => key.startsWith('PUT ') && key.endsWith(`flexibleServers/${name}`),
    );
    sandbox.intercept = injection.before;
    sandbox.interceptAnswer = injection.after;
    const stopping = new AbortController();
    injection.arm(faultKind('kill-middle'), () => stopping.abort());
    const killed = await sandbox.deploy({ kill: stopping.signal });
    sandbox.check(
      'the deployment was killed while Azure created the server',
      injection.disarm().length === 1 && killed.exitCode !== 0,
    );
    const left = processesOf(sandbox.project.root);
    sandbox.check('none of its processes is left', left.length === 0, () => `processes ${left.join(', ')}`);
    // Azure finishes the accepted operations.
    for (const { id } of sandbox.azure.operations) await sandbox.azure.azure.operations.wait(id);

    const adopted = await runAdopt(sandbox);
    sandbox.check(
      'adopt breaks the abandoned lock, if the state has one, and finds the server',
      adopted.brokeLock === (sandbox.settings.state.backend === 'azurerm') &&
        adopted.result?.adoptable.some(({ address }) => address === server) === true,
      () => adopted.output,
    );
    const next = await sandbox.assertDeploys({}, 'the next deployment imports the server and completes');
    sandbox.check(
      'it did not create the server again',
      !next.resources.some(({ address, action }) => address === server && action === 'create'),
    );
  },
};
