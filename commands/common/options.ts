/** Options and arguments that several commands share. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Severity, severities } from '../../core/severity.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { inputs } from '../../environments/list.ts';

export interface TargetOptions {
  readonly url?: string;
  readonly hostAddress?: string;
  readonly json?: boolean;
}

export interface MigrationsOptions extends TargetOptions {
  readonly migrations: string;
}

export interface LockWaitOptions {
  /** Seconds. */
  readonly lockWait: number;
}

const names = Object.keys(inputs);
/** The first and the last environment in the order of promotion, for the examples of help texts. */
export const firstEnvironment = names[0] ?? '<environment>';
/** Commands that try something on this machine take it if none is named. */
export const lastEnvironment = names.at(-1) ?? '<environment>';

/** Description of an argument that names an environment. */
export const environmentArgument = `an environment of environments/list.ts: ${names.join(', ')}`;

/** Adds `[environment]`, `--url`, `--host-address` and `--json`. */
export function withTarget(command: Command): Command {
  return command
    .argument(
      '[environment]',
      `${environmentArgument}; its Terraform outputs name the server. Inside an apply, LLAMA_DB_DEPLOYMENT names it`,
    )
    .addOption(urlOption())
    .addOption(hostAddressOption())
    .addOption(jsonOption());
}

export function urlOption(): Option {
  return new Option(
    '--url <url>',
    'the target itself: postgresql://user@host:5432/database; the password is in PGPASSWORD or a file named by PGPASSFILE, or an Entra token is used. The process list shows a password in the URL. DATABASE_URL has the same form',
  );
}

export function hostAddressOption(): Option {
  return new Option(
    '--host-address <ip>',
    'connect to this address, as through a tunnel; TLS still checks the host name',
  );
}

/** Adds `--migrations`. */
export function withMigrations(command: Command): Command {
  return command.addOption(migrationsOption());
}

export function migrationsOption(): Option {
  const option = new Option('--migrations <folder>', 'folder of the migration files');
  return option.default(migrationsDirectory, "the project's own");
}

export function jsonOption(): Option {
  return new Option('--json', 'print the result as JSON on stdout, progress on stderr');
}

export function lockWaitOption(): Option {
  return new Option('--lock-wait <seconds>', 'how long to wait for another run')
    .argParser(seconds)
    .default(60);
}

/** @param description how the command uses the severity */
export function failOnOption(description: string, byDefault: Severity): Option {
  return new Option('--fail-on <severity>', description).choices(severities).default(byDefault);
}

export function subscriptionOption(): Option {
  return new Option('--subscription <id>', 'Azure subscription; default: ARM_SUBSCRIPTION_ID');
}

/** Parses a whole number that is not negative. @throws InvalidArgumentError for anything else */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('It must be a whole number, 0 or more.');
}

/** The longest wait of a timer of Node.js, which takes a longer one for 1 ms. */
const longestSeconds = Math.floor(2 ** 31 / 1000) - 1;

/** Parses a time in seconds. @throws InvalidArgumentError unless it is a whole number that a timer can wait */
export function seconds(text: string): number {
  const value = wholeNumber(text);
  if (value <= longestSeconds) return value;
  throw new InvalidArgumentError(`It must be at most ${longestSeconds} seconds (24 days).`);
}

/** Collects the values of a repeatable option. */
export function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
