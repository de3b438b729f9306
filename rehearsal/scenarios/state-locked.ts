import { randomUUID } from 'node:crypto';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  name: 'state-locked',
  title:
    'While another run holds the state, a deployment ends at once, says who holds it, and changes nothing',
  environments: ['production', 'staging'],
  begins: 'deployed',
  async run(stage) {
    const blob = stage.stateBlob;
    if (!blob) throw new Error('the state of this environment is no blob');
    // As the backend of another run leaves it: a lease, and who has it in the blob's metadata.
    const id = randomUUID();
    const info = {
      ...{ ID: id, Operation: 'OperationTypeApply', Who: 'pipeline@build-agent-7', Version: '1.11.4' },
      ...{ Created: new Date().toISOString(), Path: stage.settings.name, Info: '' },
    };
    const lease = { lease: id, terraformlockid: Buffer.from(JSON.stringify(info)).toString('base64') };
    blob.lease = lease.lease;
    blob.metadata = { ...blob.metadata, terraformlockid: lease.terraformlockid };
    const moment = Date.now();
    await stage.refused(/Error acquiring the state lock.*pipeline@build-agent-7/s);
    const changes = stage.changesSince(moment);
    stage.check('Azure was sent no change', changes.length === 0, () => changes.join(', '));
    const adopt = await stage.command('adopt', stage.environment, '--yes');
    stage.check(
      'llama-db adopt says in one line who holds the state, since when, and what to do',
      adopt.exitCode === 2 &&
        adopt.output
          .split('\n')
          .some(
            (line) =>
              line.startsWith(
                `The state of ${stage.environment} is locked by ${info.Who} (apply) since ${info.Created}, `,
              ) &&
              line.endsWith(
                `Wait for it. If it is dead: llama-db adopt ${stage.environment} --break-lock ${id}.`,
              ),
          ),
      () => adopt.output,
    );
    stage.check('the other run still holds its lock', stage.stateBlob?.lease === id);
    // The other run ends.
    blob.lease = undefined;
    blob.metadata = {};
    await stage.deployed({}, 'the deployment succeeds once the other run has ended');
  },
};
