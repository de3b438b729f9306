/** Which errors mean that a connection or its server is gone, and which ones a repetition cures. */
import { isDatabaseFailure, sqlStateOf } from '../errors.ts';

/**
 * SQLSTATEs with which a server or PgBouncer ends or refuses a connection. A session that goes on can also report them, for
 * example for a foreign server; its errors have the severity ERROR.
 */
const connectionStates = /^(57P0[1-3]|08...|53300)$/;

/** Codes of Node for a connection that breaks or cannot be made. */
const networkCodes = new Set([
  ...['ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ECONNREFUSED', 'ECONNABORTED', 'ENETUNREACH', 'ENETDOWN'],
  ...['EHOSTUNREACH', 'EHOSTDOWN', 'ENOTFOUND', 'EAI_AGAIN', 'ENETRESET', 'EADDRNOTAVAIL'],
]);

/** Messages of `pg` for a lost connection, which has no code. */
const lostMessages = /^(Connection terminated|timeout expired|Client has encountered a connection error)/;

/** A write in recovery, and BEGIN READ WRITE in recovery. */
const notWritableStates = new Set(['25006', '0A000']);

const serializationStates = new Set(['40001', '40P01']);

/** Whether the connection, or the server behind it, is gone. */
export function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (isDatabaseFailure(error)) return error.code.startsWith('connection/');
  const state = sqlStateOf(error);
  if (state && connectionStates.test(state)) return Reflect.get(error, 'severity') !== 'ERROR';
  const code: unknown = Reflect.get(error, 'code');
  if (typeof code === 'string' && networkCodes.has(code)) return true;
  // An attempt to reach several addresses of a name.
  if (error instanceof AggregateError) return error.errors.some(isConnectionFailure);
  return lostMessages.test(error.message);
}

/**
 * Whether a server accepts no writes. In a transaction that writes, it was the primary before a failover; in one that only reads,
 * the application is mistaken.
 */
export function isNotWritable(error: unknown): boolean {
  return notWritableStates.has(sqlStateOf(error) ?? '');
}

/** Whether the server rolled the transaction back because of another one, so that a repetition may succeed. */
export function isSerializationFailure(error: unknown): boolean {
  return serializationStates.has(sqlStateOf(error) ?? '');
}

/** Whether the server refuses the login, for example because a token has expired. */
export function isLoginFailure(error: unknown): boolean {
  return /^28/.test(sqlStateOf(error) ?? '');
}
