import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Ended } from '../../local/processes/program.ts';
import { hasError, runVerify } from '../sandbox/commands.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Scenario } from '../sandbox/scenario.ts';

const folder = 'release-rehearsed';
const migration = 'migrations/0099_rehearsed.sql';
const waivers = 'environments/waivers.json';
const day = 86_400_000;

interface Refusal {
  readonly address: string;
  readonly impact: string;
  readonly fingerprint: string;
}

const waiverOf = (environment: string, { address, impact, fingerprint }: Refusal) => ({
  ...{ environment, address, impact, fingerprint },
  reason: 'the rehearsal of a release accepts it',
  by: 'the rehearsal',
  expires: new Date(Date.now() + 7 * day).toISOString().slice(0, 10),
});

async function serialOf(sandbox: Sandbox): Promise<number> {
  return JSON.parse((await sandbox.stateText()) ?? '{}').serial;
}

export const scenario: Scenario = {
  name: 'release-applied',
  title: 'A release is applied as it was approved, and refused once anything differs',
  needs: ['noReplica', 'protected', 'remoteState'],
  startsFrom: 'deployed',
  // The commands run Terraform themselves, and the checkout has another app.
  startsProvider: true,
  endsWithEmptyPlan: false,
  async run(sandbox) {
    const { environment } = sandbox;
    const checkout = await sandbox.checkOut({
      change: ({ server }) => {
        server.backup.retentionDays -= 1;
      },
    });
    const manifest = JSON.parse(await checkout.read('migrations/schema.json'));
    manifest.migrations.push('0099_rehearsed');
    await checkout.write('migrations/schema.json', JSON.stringify(manifest));
    await checkout.write(migration, '-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 1;\n');
    await checkout.write(waivers, '{ "waivers": [] }');
    const plan = () => sandbox.command('release', 'plan', environment, '--out', folder, '--json');
    const apply = (...more: string[]) =>
      sandbox.command('release', 'apply', environment, '--release', `${folder}/release.json`, ...more);

    const early = await plan();
    sandbox.check(
      'a change without a commit is no release',
      hasError(early.stderr, 'release/not-committed', migration),
      () => early.output,
    );
    await checkout.commit('Shorten the backups');
    const refused = await plan();
    const found: readonly Refusal[] = JSON.parse(refused.stdout).guard?.refusals ?? [];
    sandbox.check(
      'the guard refuses the plan',
      refused.exitCode === 3 && found.length > 0,
      () => refused.output,
    );
    await checkout.write(
      waivers,
      JSON.stringify({ waivers: found.map((one) => waiverOf(environment, one)) }),
    );
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
    const isRefused = (claim: string, ended: Ended, code: string, ...values: string[]) =>
      sandbox.check(
        `${claim}: ${code}`,
        ended.exitCode !== 0 && hasError(ended.output, code, ...values),
        () => ended.output,
      );

    const original = await checkout.read(migration);
    await checkout.write(migration, `${original}\n-- edited`);
    isRefused('a migration edited after the approval', await apply(), 'release/other-files', migration);
    await checkout.write(migration, original);
    await checkout.write('azure/added.ts', '');
    isRefused('a file added after the approval', await apply(), 'release/other-files', 'azure/added.ts');
    await checkout.git('clean', '--quiet', '--force', 'azure');
    await checkout.commit('Another commit');
    isRefused('the plan of another commit', await apply(), 'release/other-commit', commit.slice(0, 12));
    await checkout.git('reset', '--quiet', '--hard', commit);
    await checkout.write('environments/none.json', '{ "waivers": [] }');
    const revoked = await apply('--waivers', 'environments/none.json');
    isRefused('an added file of the environments', revoked, 'release/other-files');
    await checkout.git('clean', '--quiet', '--force', 'environments');
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
    const files = ['plan', 'cdk.tf.json', 'terraform.lock.hcl', 'guard.json'];
    for (const name of files) {
      const file = `${folder}/${name}`;
      const content = await readFile(path.join(checkout.root, file));
      await checkout.write(file, Buffer.concat([content, Buffer.from(' ')]));
      isRefused(`a changed ${name}`, await apply(), 'release/file-differs', name);
      await checkout.write(file, content);
    }
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
    // A quick rehearsal has no alerts, which verification reports before and after.
    const known = [...(await runVerify(sandbox)).failed.keys()].sort();
    const applied = await apply('--approved', next.digest, '--record', `${folder}/record.json`);
    const record = JSON.parse(await checkout.read(`${folder}/record.json`)).releases[0];
    sandbox.check(
      'the release is applied and verified',
      known.length === 0 ? applied.exitCode === 0 : hasError(applied.output, 'release/findings'),
      () => applied.output,
    );
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
