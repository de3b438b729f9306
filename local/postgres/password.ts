import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import pg from 'pg';

const iterations = 4096;

/**
 * Gives a role a password without the password being in any statement, where a log could keep it: what is sent is what
 * PostgreSQL would make of it (RFC 5803).
 *
 * @param until when it stops being valid, milliseconds since the epoch. @default - never
 */
export async function setPassword(
  client: pg.Client,
  role: string,
  password: string,
  until?: number,
): Promise<void> {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(keyed('Client Key')).digest();
  const [storedKey, serverKey] = [stored, keyed('Server Key')].map((part) => part.toString('base64'));
  const verifier = `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
  const valid = until === undefined ? 'infinity' : new Date(until).toISOString();
  await client.query(
    `ALTER ROLE ${pg.escapeIdentifier(role)} PASSWORD ${pg.escapeLiteral(verifier)} VALID UNTIL ${pg.escapeLiteral(valid)}`,
  );
}
