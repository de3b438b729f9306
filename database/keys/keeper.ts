/** Which wrapping key a command works with. */
import { Fault } from '../../core/fault.ts';
import { KeyVaultWrappingKey } from '../../runtime/encryption/key-vault.ts';
import { LocalKey } from '../../runtime/encryption/local-key.ts';
import type { WrappingKey } from '../../runtime/encryption/wrapping-key.ts';
import type { Target } from '../target.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The wrapping key that was named, else that of the deployment, else that of LLAMA_DB_WRAPPING_KEY.
 *
 * @param named `https://<vault>.vault.azure.net/keys/<name>`, or `local:<file>`
 * @throws Fault (exit 2) when nothing names one, or it cannot be used
 */
export function wrappingKeyFor(
  { deployment }: Pick<Target, 'deployment'>,
  named: string | undefined,
  variables: Variables,
): WrappingKey {
  const key = named ?? deployment?.fieldEncryptionKeyId ?? variables['LLAMA_DB_WRAPPING_KEY'];
  if (key) return wrappingKeyNamed(key);
  throw new Fault(
    'keeper/1',
    'No wrapping key is named',
    'the deployment names none, and data keys cannot be unwrapped without it',
    'Give --wrapping-key https://NAME.vault.azure.net/keys/KEY, or local:<file> for an embedded server.',
    { exitCode: 2 },
  );
}

/** @throws Fault (exit 2) */
export function wrappingKeyNamed(key: string): WrappingKey {
  const file = /^local:(.+)$/.exec(key)?.[1];
  return file === undefined ? new KeyVaultWrappingKey(key) : LocalKey.fromFile(file);
}
