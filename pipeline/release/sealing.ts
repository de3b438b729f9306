/**
 * A plan file, encrypted to the job that applies it: Terraform's plans hold the state and all values in clear. The data is
 * AES-256-GCM under a random key, which RSA-OAEP-SHA256 wraps.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';

/** Environment variable with the private key as PEM; only the deploying job has it. */
export const keyVariable = 'LLAMA_DB_RELEASE_KEY';

const magic = Buffer.from('llama-plan-1\n');
/** Environment variable with the public key as PEM. */
export const publicKeyVariable = 'LLAMA_DB_RELEASE_PUBLIC_KEY';

const smallestModulus = 3072;
const oaep = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };

/** @throws Fault `release/key-unusable` (exit 2) unless it is a public RSA key of at least 3072 bits */
export function seal(plan: Buffer, publicKey: string): Buffer {
  const key = usable(publicKey);
  const [secret, nonce] = [randomBytes(32), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', secret, nonce);
  cipher.setAAD(magic);
  const data = Buffer.concat([cipher.update(plan), cipher.final()]);
  const wrapped = publicEncrypt({ key, ...oaep }, secret);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(wrapped.length);
  return Buffer.concat([magic, size, wrapped, nonce, cipher.getAuthTag(), data]);
}

/** @throws Fault `release/key-missing` (exit 2); `release/not-opened` if the key is another one or the file was changed */
export function open(sealed: Buffer, privateKey: string | undefined): Buffer {
  if (!privateKey)
    throw new Fault(
      'release/key-missing',
      'The plan of the release is encrypted',
      `${keyVariable} is not set`,
      `Set ${keyVariable} to the private key as PEM: only the job that deploys has it (docs/promoting.md).`,
      { exitCode: 2 },
    );
  try {
    if (!sealed.subarray(0, magic.length).equals(magic)) throw new Error('it is not a sealed plan');
    let rest = sealed.subarray(magic.length);
    const take = (bytes: number) => {
      const taken = rest.subarray(0, bytes);
      rest = rest.subarray(bytes);
      return taken;
    };
    const secret = privateDecrypt({ key: privateKey, ...oaep }, take(take(2).readUInt16BE()));
    const decipher = createDecipheriv('aes-256-gcm', secret, take(12), { authTagLength: 16 });
    decipher.setAAD(magic);
    decipher.setAuthTag(take(16));
    return Buffer.concat([decipher.update(rest), decipher.final()]);
  } catch (error) {
    throw new Fault(
      'release/not-opened',
      'The plan of the release was not decrypted',
      messageOf(error),
      `Check that ${keyVariable} belongs to the public key that the release was made with, and that nobody changed plan.sealed.`,
    );
  }
}

function usable(publicKey: string): KeyObject {
  let why: string;
  try {
    const key = createPublicKey(publicKey);
    const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
    if (/PRIVATE KEY/.test(publicKey)) why = 'it is the private key';
    else if (key.asymmetricKeyType === 'rsa' && bits >= smallestModulus) return key;
    else why = `it is ${key.asymmetricKeyType} of ${bits} bits`;
  } catch (error) {
    why = messageOf(error);
  }
  throw new Fault(
    'release/key-unusable',
    'The plan cannot be encrypted to this key',
    why,
    `Give a public RSA key of ${smallestModulus} bits or more: openssl genrsa 3072, openssl rsa -pubout.`,
    { exitCode: 2 },
  );
}
