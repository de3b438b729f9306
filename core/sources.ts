/** Which sources made a report: their version and commit. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Sources {
  /** Of package.json. */
  readonly version: string;
  /** With `+` if the checkout has changes; `unknown` outside a checkout. */
  readonly commit: string;
}

export function sources(): Sources {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return { version: String(version), commit: commit() };
}

function commit(): string {
  const git = (...parameters: string[]) =>
    execFileSync('git', parameters, { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' }).trim();
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}
