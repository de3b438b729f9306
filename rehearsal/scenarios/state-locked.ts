import { randomUUID } from 'node:crypto';
import { hasError } from '../sandbox/commands.ts';
import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: 'state-locked',
  title:
    'While another run holds the state lock, a deployment ends at once, names the holder and changes nothing',
  needs: ['remoteState'],
  prefers: ['replica'],
  startsFrom: 'deployed',
  startsProvider: true,
  async run(sandbox) {
    const blob = sandbox.stateBlob;
    if (!blob) throw new Error('this environment does not keep its state in a blob');
    // The backend of another run leaves a lease, and its holder in the blob's metadata.
    const id = randomUUID();
    const info = {
      ...{ ID: id, Operation: 'OperationTypeApply', Who: 'pipeline@build-agent-7', Version: '1.11.4' },
      ...{ Created: new Date().toISOString(), Path: sandbox.settings.name, Info: '' },
    };
    const lease = { lease: id, terraformlockid: Buffer.from(JSON.stringify(info)).toString('base64') };
    blob.lease = lease.lease;
    blob.metadata = { ...blob.metadata, terraformlockid: lease.terraformlockid };
    const moment = Date.now();
    await sandbox.assertRefused(/Error acquiring the state lock.*pipeline@build-agent-7/s);
    const changes = sandbox.changesSince(moment);
    sandbox.check('Azure was asked for no change', changes.length === 0, () => changes.join(', '));
    const adopt = await sandbox.command('adopt', sandbox.environment, '--yes');
    sandbox.check(
      'llama-db adopt reports in one line who holds the lock, since when, and the remedy',
      adopt.exitCode === 2 &&
        hasError(
          adopt.output,
          'adopt/state-locked',
          `The state of ${sandbox.environment} is locked by ${info.Who} (apply) since ${info.Created}`,
          `llama-db adopt ${sandbox.environment} --break-lock ${id}`,
        ),
      () => adopt.output,
    );
    sandbox.check('the other run still holds its lock', sandbox.stateBlob?.lease === id);
    // The other run ends.
    blob.lease = undefined;
    blob.metadata = {};
    await sandbox.assertDeploys({}, 'after the other run has ended, the deployment succeeds');
  },
};
