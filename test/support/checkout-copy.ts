/** A copy of this checkout as a git repository of its own, whose environments a test may change. */
import { execFileSync } from 'node:child_process';
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { runProgram } from '../../local/processes/program.ts';
import { identifier } from './scratch-environments.ts';

const checkout = join(import.meta.dirname, '../..');

export interface CheckoutCopy {
  /** Replaces the settings of an environment. */
  set(input: EnvironmentInput): void;
  /** Adds or replaces a file. */
  write(file: string, content: string): void;
  /** Commits everything. */
  commit(): void;
  /** Runs its `llama-db`. */
  run(...parameters: readonly string[]): ReturnType<typeof runProgram>;
  drop(): void;
}

export function checkoutCopy(): CheckoutCopy {
  const folder = mkdtempSync(join(tmpdir(), 'llama-copy-'));
  const git = (cwd: string, ...parameters: readonly string[]) =>
    execFileSync('git', parameters, { cwd, encoding: 'utf8' });
  const listed = git(checkout, 'ls-files', '--cached', '--others', '--exclude-standard').split('\n');
  for (const file of listed.filter((one) => one !== '' && existsSync(join(checkout, one)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    copyFileSync(join(checkout, file), join(folder, file), constants.COPYFILE_FICLONE);
  }
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  git(folder, 'init', '--quiet');
  // A link, which the pattern of a folder in .gitignore does not match.
  writeFileSync(join(folder, '.git/info/exclude'), 'node_modules\n');
  const copy: CheckoutCopy = {
    set: (input) =>
      copy.write(
        `environments/${input.name}.ts`,
        `import type { EnvironmentInput } from './settings.ts';\n\nexport const ${identifier(input.name)}: EnvironmentInput = ${JSON.stringify(input, undefined, 2)};\n`,
      ),
    write: (file, content) => writeFileSync(join(folder, file), content),
    commit: () => {
      git(folder, 'add', '--all');
      const who = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
      git(folder, ...who, 'commit', '--quiet', '--no-verify', '--message', 'Base');
    },
    run: (...parameters) =>
      runProgram(process.execPath, ['commands/llama-db.mjs', ...parameters], {
        cwd: folder,
        environment: { ...process.env, CDKTF_OUTDIR: undefined, TF_CLI_CONFIG_FILE: undefined },
      }),
    drop: () => rmSync(folder, { recursive: true, force: true }),
  };
  return copy;
}
