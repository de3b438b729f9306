import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import pg from 'pg';

const iterations = 4096;

/**
 * Sets a role's password without the password in a statement, which a log could keep. It sends the SCRAM verifier that
 * PostgreSQL would compute (RFC 5803).
 */
export async function setPassword(client: pg.Client, role: string, password: string): Promise<void> {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(keyed('Client Key')).digest();
  const [storedKey, serverKey] = [stored, keyed('Server Key')].map((part) => part.toString('base64'));
  const verifier = `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
  // One message is one transaction: the server's statistics and log keep neither statement.
  await client.query(
    `SET LOCAL pg_stat_statements.track = 'none'; SET LOCAL log_statement = 'none'; SET LOCAL log_min_duration_statement = -1;
     ALTER ROLE ${pg.escapeIdentifier(role)} PASSWORD ${pg.escapeLiteral(verifier)}`,
  );
}
