import { Operator } from '../sandbox/operator.ts';
import { folder, Releasing } from '../sandbox/releasing.ts';
import type { Scenario } from '../sandbox/scenario.ts';

const parameter = 'log_min_duration_statement';

export const scenario: Scenario = {
  name: 'release-taken-back',
  title: 'Drift is reported without writing the state, and the release before is the way back',
  needs: ['noReplica', 'protected', 'remoteState'],
  isLong: true,
  startsFrom: 'deployed',
  startsProvider: true,
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const { environment, azure } = sandbox;
    const releasing = await Releasing.from(sandbox);
    const { checkout } = releasing;
    const before = await checkout.git('rev-parse', 'HEAD');
    const release = async (claim: string) => {
      const planned = await releasing.plan();
      sandbox.check(`${claim}: planned`, planned.exitCode === 0, () => planned.output);
      const applied = await releasing.apply('--record', `${folder}/record.json`);
      sandbox.check(`${claim}: applied`, releasing.isApplied(applied), () => applied.output);
      return releasing.recordIn('record.json');
    };
    const first = await release('the first release');
    const quiet = await sandbox.command('drift', environment, '--json');
    sandbox.check(
      'nothing that it has caused in Azure counts as drift',
      JSON.parse(quiet.stdout).resources.length === 0,
      () => quiet.output,
    );

    const migration = await releasing.addMigration('0099_rehearsed');
    await checkout.commit('Add a migration');
    const second = await release('the second release');
    sandbox.check('it is another artifact', second.artifactDigest !== first.artifactDigest);

    const server = sandbox.serverId('primary');
    const id = `${server}/configurations/${parameter}`;
    const value = Reflect.get(Object(azure.state.get(id)?.body['properties']), 'value');
    await new Operator(azure).setParameter(server, parameter, '5');
    const [state, moment] = [await sandbox.stateText(), Date.now()];
    const drift = await sandbox.command('drift', environment, '--json');
    const report = JSON.parse(drift.stdout);
    sandbox.check(
      'the drift of the parameter is reported with its values',
      drift.exitCode === 2 && JSON.stringify(report.resources).includes(`value: ${value} -> 5`),
      () => drift.output,
    );
    sandbox.check('nothing else drifted', report.resources.length === 1, () => drift.stdout);
    sandbox.check(
      'neither the state nor Azure was changed',
      (await sandbox.stateText()) === state &&
        sandbox.changesSince(moment).every((line) => /sharedKeys$/.test(line)),
      () => sandbox.changesSince(moment).join(', '),
    );
    await new Operator(azure).setParameter(server, parameter, String(value));

    await checkout.git('checkout', '--quiet', before);
    const [refusal] = await releasing.waive(await releasing.plan());
    sandbox.check(
      'the release before is refused, because its checkout lacks an applied migration',
      refusal?.address === migration,
      () => JSON.stringify(refusal),
    );
    await checkout.git('checkout', '--quiet', '--force', 'main');
    const undone = await sandbox.command('rollback', environment, '--count', '1');
    sandbox.check(
      'the migration is reverted from the newer checkout',
      undone.exitCode === 0,
      () => undone.output,
    );
    await checkout.git('checkout', '--quiet', before);
    const third = await release('the release before, with the reverted migration waived');
    sandbox.check(
      'the environment runs the first artifact again',
      third.artifactDigest === first.artifactDigest && third.commit === before,
      () => JSON.stringify(third),
    );
  },
};
