import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { textAt } from '../../core/json.ts';
import { runVerify } from '../sandbox/commands.ts';
import { Operator } from '../sandbox/operator.ts';
import { folder, Releasing, waivers } from '../sandbox/releasing.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

async function serialOf(sandbox: Sandbox): Promise<number> {
  return JSON.parse((await sandbox.stateText()) ?? '{}').serial;
}

export const scenario: Scenario = {
  name: 'release-applied',
  title: 'A release is applied as it was approved, and refused once anything differs',
  needs: ['noReplica', 'protected', 'remoteState'],
  isLong: true,
  startsFrom: 'deployed',
  // The commands run Terraform themselves, and the checkout has another app.
  startsProvider: true,
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const { environment, azure } = sandbox;
    const releasing = await Releasing.from(sandbox, {
      change: ({ server }) => {
        server.backup.retentionDays -= 1;
      },
    });
    const { checkout } = releasing;
    await checkout.ownPackage('pg');
    const plan = () => releasing.plan();
    const apply = (...more: string[]) => releasing.apply(...more);
    const isRefused: Releasing['refused'] = (...given) => releasing.refused(...given);
    const migration = await releasing.addMigration('0099_rehearsed');
    await checkout.write(waivers, '{ "waivers": [] }');

    isRefused('a change without a commit is no release', await plan(), 'release/not-committed', migration);
    await checkout.commit('Shorten the backups');
    await releasing.waive(await plan());
    const commit = await checkout.commit('Waive the shorter backups');
    const planned = await plan();
    sandbox.check('with a waiver it is a release', planned.exitCode === 0, () => planned.output);
    const { digest, artifact, release } = JSON.parse(planned.stdout);
    sandbox.check(
      'which names the new migration',
      release.plan.migrations.join() === path.basename(migration),
      () => release.plan.migrations.join(),
    );

    const moment = Date.now();
    const serial = await serialOf(sandbox);
    const original = await checkout.read(migration);
    await checkout.write(migration, `${original}\n-- edited`);
    isRefused('a migration edited after the approval', await apply(), 'release/other-files', migration);
    await checkout.write(migration, original);
    await checkout.write('azure/added.ts', '');
    isRefused('a file added after the approval', await apply(), 'release/other-files', 'azure/added.ts');
    await checkout.git('clean', '--quiet', '--force', 'azure');
    const loaded = 'node_modules/pg/lib/index.js';
    const code = await checkout.read(loaded);
    await checkout.write(loaded, `${code}\n// edited`);
    isRefused('an edited package', await apply(), 'release/other-packages', 'node_modules/pg');
    await checkout.write(loaded, code);
    await checkout.commit('Another commit');
    isRefused('the plan of another commit', await apply(), 'release/other-commit', commit.slice(0, 12));
    await checkout.git('reset', '--quiet', '--hard', commit);
    const current = await checkout.read(waivers);
    await checkout.write(waivers, '{ "waivers": [] }');
    isRefused('a revoked waiver', await apply(), 'release/guard-refuses', 'GRD-003');
    await checkout.write(waivers, current);
    isRefused('an old plan', await apply('--max-age', '0'), 'release/too-old');
    isRefused(
      'another release than the approved',
      await apply('--approved', '0'.repeat(64)),
      'release/not-approved',
    );
    const file = `${folder}/plan`;
    const lock = `${folder}/terraform.lock.hcl`;
    const providers = await checkout.read(lock);
    await checkout.write(lock, providers.replace('h1:', 'h1:x'));
    isRefused('other providers', await apply(), 'release/file-differs', lock);
    await checkout.write(lock, providers);
    const content = await readFile(path.join(checkout.root, file));
    await checkout.write(file, Buffer.concat([content, Buffer.from(' ')]));
    isRefused('a changed plan', await apply(), 'release/file-differs');
    await checkout.write(file, content);
    sandbox.check(
      'nothing was changed by a refusal',
      sandbox.changesSince(moment).length === 0 && (await serialOf(sandbox)) === serial,
      () => sandbox.changesSince(moment).join(', '),
    );

    const stack = await sandbox.terraform();
    const address = 'terraform_data.post_deploy';
    await stack.run(['taint', address]);
    await stack.run(['untaint', address]);
    isRefused('a state that somebody moved', await apply(), 'release/state-moved', String(serial));

    const again = await plan();
    const next = JSON.parse(again.stdout);
    sandbox.check(
      'the same checkout gives the same artifact',
      next.artifact === artifact && next.digest !== digest,
      () => again.output,
    );
    const parameter = 'log_min_duration_statement';
    const server = sandbox.serverId('primary');
    const value =
      textAt(azure.state.get(`${server}/configurations/${parameter}`)?.body, 'properties', 'value') ?? '';
    await new Operator(azure).setParameter(server, parameter, '5');
    isRefused(
      'a parameter changed by hand after the approval',
      await apply(),
      'release/azure-changed',
      `${value} -> 5`,
    );
    await new Operator(azure).setParameter(server, parameter, value);
    // A quick rehearsal has no alerts, which verification reports before and after.
    const known = [...(await runVerify(sandbox)).failed.keys()].sort();
    const applied = await apply('--approved', next.digest, '--record', `${folder}/record.json`);
    const record = JSON.parse(await checkout.read(`${folder}/record.json`)).releases[0];
    sandbox.check('the release is applied and verified', releasing.isApplied(applied), () => applied.output);
    sandbox.check(
      'its record has commit and digests, and no new finding',
      record.releaseDigest === next.digest &&
        record.commit === commit &&
        record.verification.failed.every((id: string) => known.includes(id)),
      () => JSON.stringify(record),
    );
    sandbox.check(
      'Azure has the change',
      Number(Reflect.get(Object(sandbox.serverProperties('primary')['backup']), 'backupRetentionDays')) ===
        sandbox.settings.server.backup.retentionDays,
    );
    isRefused('the same release a second time', await apply(), 'release/state-moved');
    const verified = await sandbox.command(
      'release',
      'verify',
      environment,
      '--record',
      `${folder}/later.json`,
    );
    const later = JSON.parse(await checkout.read(`${folder}/later.json`)).releases[0];
    sandbox.check(
      'verified again, it has another record of the same release',
      later.releaseDigest === next.digest && later.at > record.at,
      () => verified.output,
    );
  },
};
