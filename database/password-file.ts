/** Passwords in a file of libpq (https://www.postgresql.org/docs/current/libpq-pgpass.html), named by PGPASSFILE. */
import { readFile, stat } from 'node:fs/promises';
import { Fault } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';

export interface Login {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

const usage = { exitCode: 2 };

/**
 * The password of the first line that fits; `*` in a line fits everything.
 *
 * Only a file that PGPASSFILE names is read. A forgotten `~/.pgpass` would otherwise replace an Entra token.
 *
 * @returns undefined if no line fits
 * @throws Fault (exit 2) if the file cannot be read, or others may read it
 */
export async function passwordFromFile(
  file: string,
  { host, port, database, user }: Login,
): Promise<string | undefined> {
  const text = await contentOf(file);
  const wanted = [host, String(port), database, user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    // A backslash escapes a colon and itself. The password may contain bare colons.
    const fields = [...line.matchAll(/(?:^|:)((?:\\.|[^:\\])*)/g)].map(([, field = '']) => field);
    if (fields.length <= wanted.length) continue;
    if (wanted.every((value, at) => fields[at] === '*' || unescaped(fields[at] ?? '') === value))
      return unescaped(fields.slice(wanted.length).join(':'));
  }
  return undefined;
}

const unescaped = (field: string) => field.replace(/\\(.)/g, '$1');

async function contentOf(file: string): Promise<string> {
  let mode: number;
  let text: string;
  try {
    [{ mode }, text] = await Promise.all([stat(file), readFile(file, 'utf8')]);
  } catch (error) {
    throw new Fault(
      'target/password-file-unreadable',
      `The password file ${file} cannot be read`,
      messageOf(error),
      'Correct PGPASSFILE, or unset it.',
      { ...usage, cause: error },
    );
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new Fault(
      'target/password-file-open',
      `The password file ${file} is open to other users`,
      `its mode is ${(mode & 0o777).toString(8)}, and libpq ignores such a file too`,
      `Run chmod 600 ${file}, and change passwords that others may have read.`,
      usage,
    );
  }
  return text;
}
