/** The choice of the wrapping key for a command. */
import { Fault } from '../../core/fault.ts';
import { KeyVaultWrappingKey } from '../../runtime/encryption/key-vault.ts';
import { LocalKey } from '../../runtime/encryption/local-key.ts';
import type { WrappingKey } from '../../runtime/encryption/wrapping-key.ts';
import type { Target } from '../target.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * The wrapping key of the option, else of the deployment, else of variable LLAMA_DB_WRAPPING_KEY.
 *
 * @param named `https://<vault>.vault.azure.net/keys/<name>`, or `local:<file>`
 * @throws Fault (exit 2) if none of them names a key
 * @throws ConfigurationError if the key cannot be used
 */
export function wrappingKeyFor(
  { deployment }: Pick<Target, 'deployment'>,
  named: string | undefined,
  variables: Variables,
): WrappingKey {
  const key = named ?? deployment?.fieldEncryptionKeyId ?? variables['LLAMA_DB_WRAPPING_KEY'];
  if (key) return wrappingKeyNamed(key);
  throw new Fault(
    'keys/wrapping-key-missing',
    'No wrapping key is named',
    'the command cannot unwrap data keys without one, and the deployment does not name one either',
    'Give --wrapping-key https://NAME.vault.azure.net/keys/KEY, or local:<file> for an embedded server.',
    { exitCode: 2 },
  );
}

/** @throws ConfigurationError if the key cannot be used */
export function wrappingKeyNamed(key: string): WrappingKey {
  const file = /^local:(.+)$/.exec(key)?.[1];
  return file === undefined ? new KeyVaultWrappingKey(key) : LocalKey.fromFile(file);
}
