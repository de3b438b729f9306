import path from 'node:path';
import { adoptAll } from '../faults/adoption.ts';
import { faultKind } from '../faults/faults.ts';
import { Injection } from '../faults/injection.ts';
import type { Scenario } from '../scenario.ts';
import { processesOf } from '../terraform/processes.ts';

const server = 'azurerm_postgresql_flexible_server.server';

export const scenario: Scenario = {
  name: 'deploy-killed',
  title:
    'A first deployment is killed while Azure makes the server; after llama-db adopt the next one goes on',
  environments: ['staging', 'production', 'development'],
  begins: 'before the first deployment',
  async run(stage) {
    const { name } = stage.settings.server;
    const injection = new Injection(
      ({ key }) => key.startsWith('PUT ') && key.endsWith(`flexibleServers/${name}`),
    );
    stage.intercept = injection.before;
    stage.interceptAnswer = injection.after;
    const stopping = new AbortController();
    injection.arm(faultKind('kill-middle'), () => stopping.abort());
    const killed = await stage.deploy({ kill: stopping.signal });
    stage.check(
      'the deployment was killed while Azure made the server',
      injection.disarm().length === 1 && killed.exitCode !== 0,
    );
    const left = processesOf(stage.project.root);
    stage.check('nothing of it still runs', left.length === 0, () => `processes ${left.join(', ')}`);
    // Azure goes on with what it was asked for.
    for (const { id } of stage.azure.operations) await stage.azure.azure.operations.wait(id);

    const adopted = await adoptAll(
      {
        directory: path.join(stage.project.root, 'cdktf.out/stacks', stage.environment),
        environment: stage.variables,
      },
      stage.environment,
    );
    stage.check(
      'adopt breaks the abandoned lock, where the state has one, and finds the server',
      adopted.brokeLock === (stage.settings.state.backend === 'azurerm') &&
        adopted.result?.adoptable.some(({ address }) => address === server) === true,
      () => adopted.output,
    );
    const next = await stage.deployed({}, 'the next deployment imports it and goes on to its end');
    stage.check(
      'it did not make the server again',
      !next.resources.some(({ address, action }) => address === server && action === 'create'),
    );
  },
};
