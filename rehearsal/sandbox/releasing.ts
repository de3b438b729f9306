/** Releases of a sandbox, as its pipeline makes and applies them in a checkout of its own. */
import type { Ended } from '../../local/processes/program.ts';
import type { Checkout } from './checkout.ts';
import { hasError } from './commands.ts';
import type { DeployOptions, Sandbox } from './sandbox.ts';

/** Folder of the release in the checkout. */
export const folder = 'release-rehearsed';
export const waivers = 'environments/waivers.json';
const day = 86_400_000;

export interface Refusal {
  readonly address: string;
  readonly impact: string;
  readonly fingerprint: string;
}

export class Releasing {
  private constructor(
    readonly sandbox: Sandbox,
    readonly checkout: Checkout,
  ) {}

  /** Checks out the project with these settings. */
  static async from(sandbox: Sandbox, options: DeployOptions = {}): Promise<Releasing> {
    return new Releasing(sandbox, await sandbox.checkOut(options));
  }

  /** The digest of the newest plan, which the rehearsal approves. */
  #digest = '';

  async plan(): Promise<Ended> {
    const { sandbox } = this;
    const ended = await sandbox.command('release', 'plan', sandbox.environment, '--out', folder, '--json');
    if (ended.exitCode === 0) this.#digest = JSON.parse(ended.stdout).digest;
    return ended;
  }

  apply(...more: string[]): Promise<Ended> {
    const { sandbox } = this;
    const approval = more.includes('--approved') ? [] : ['--approved', this.#digest];
    return sandbox.command(
      'release',
      'apply',
      sandbox.environment,
      '--release',
      `${folder}/release.json`,
      ...approval,
      ...more,
    );
  }

  /** The first record in a file that `--record` named. */
  async recordIn(name: string) {
    return JSON.parse(await this.checkout.read(`${folder}/${name}`)).releases[0];
  }

  /** Waives what the guard refused in a plan. @returns its refusals */
  async waive(refused: Ended): Promise<readonly Refusal[]> {
    const found: readonly Refusal[] = JSON.parse(refused.stdout).guard?.refusals ?? [];
    this.sandbox.check(
      'the guard refuses the plan',
      refused.exitCode === 3 && found.length > 0,
      () => refused.output,
    );
    const { environment } = this.sandbox;
    const accepted = found.map(({ address, impact, fingerprint }) => ({
      ...{ environment, address, impact, fingerprint },
      reason: 'the rehearsal of a release accepts it',
      by: 'the rehearsal',
      expires: new Date(Date.now() + 7 * day).toISOString().slice(0, 10),
    }));
    await this.checkout.write(waivers, JSON.stringify({ waivers: accepted }));
    return found;
  }

  /** Adds a migration that changes no object, and lists it in the manifest. */
  async addMigration(name: string): Promise<string> {
    const manifest = JSON.parse(await this.checkout.read('migrations/schema.json'));
    manifest.migrations.push(name);
    await this.checkout.write('migrations/schema.json', JSON.stringify(manifest));
    const file = `migrations/${name}.sql`;
    await this.checkout.write(file, '-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 1;\n');
    return file;
  }

  refused(claim: string, ended: Ended, code: string, ...values: string[]): void {
    this.sandbox.check(
      `${claim}: ${code}`,
      ended.exitCode !== 0 && hasError(ended.output, code, ...values),
      () => ended.output,
    );
  }

  /** A quick rehearsal has no alerts, which verification reports. */
  isApplied(ended: Ended): boolean {
    return this.sandbox.quick ? hasError(ended.output, 'release/findings') : ended.exitCode === 0;
  }
}
