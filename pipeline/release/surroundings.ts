/**
 * Variables of the machine that change what Terraform or Node.js runs. A release binds files, and none of them shows: another
 * provider, another state, further arguments, or a module that is loaded before all others.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../core/fault.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** https://developer.hashicorp.com/terraform/cli/config/environment-variables, https://nodejs.org/api/cli.html */
const altering: readonly (readonly [name: RegExp, value: RegExp, effect: string])[] = [
  [/^TF_CLI_ARGS/, /./, 'adds arguments to terraform'],
  [/^TF_WORKSPACE$/, /./, 'selects another state'],
  [/^TF_REATTACH_PROVIDERS$/, /./, 'replaces the provider by a running program'],
  [
    /^NODE_OPTIONS$/,
    // Node.js accepts an option in quotation marks, and _ in place of -.
    /(?:^|[\s"])(?:-r|--require|--import|--(?:experimental[-_])?loader|-C|--conditions)\b/,
    'loads code before the program',
  ],
  [/^NODE_PATH$/, /./, 'adds folders of packages'],
  [/^TSX_TSCONFIG_PATH$/, /./, 'maps imports to other files'],
  [/^PGOPTIONS$/, /./, 'changes settings of every session'],
];

/** @throws Fault `release/other-surroundings` that names the variables, without their values */
export function refuseSurroundings(variables: Variables): void {
  const found = Object.entries(variables).flatMap(([name, value = '']) =>
    altering.flatMap(([of, which, effect]) =>
      of.test(name) && which.test(value) ? [`${name} ${effect}`] : [],
    ),
  );
  for (const file of configurations(variables))
    if (/^(?!\s*(?:#|\/\/)).*\bdev_overrides\b/m.test(readFileSync(file, 'utf8')))
      found.push(`dev_overrides in ${file} replaces the provider by a file`);
  if (found.length === 0) return;
  throw new Fault(
    'release/other-surroundings',
    'This machine would run something else than the files of the release',
    found.join('; '),
    'Unset the variables, or take the block out of the file, and run the command again.',
    { exitCode: 2 },
  );
}

/**
 * Files that configure terraform itself. A variable names one; else there are one in the home and any number in its folder.
 * https://developer.hashicorp.com/terraform/cli/config/config-file
 */
function configurations({ TF_CLI_CONFIG_FILE, TERRAFORM_CONFIG, HOME }: Variables): readonly string[] {
  const named = TF_CLI_CONFIG_FILE || TERRAFORM_CONFIG;
  if (named) return [named].filter(existsSync);
  const home = HOME || homedir();
  const folder = join(home, '.terraform.d');
  const others = existsSync(folder)
    ? readdirSync(folder).filter((name) => /\.tfrc(?:\.json)?$/.test(name))
    : [];
  return [join(home, '.terraformrc'), ...others.map((name) => join(folder, name))].filter(existsSync);
}
