/**
 * Turns errors of pg, TLS and PostgreSQL into Faults with a remedy.
 */
import { Fault, type FaultCode, faultOf } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';

/** Context of a connection, for the explanation of an error on it. */
export interface Circumstances {
  /** For messages: host, port and database, without the password. */
  readonly target: string;
  /** Host name that the certificate must carry. */
  readonly host: string;
  readonly user: string;
  readonly database: string;
  /** How the login authenticates. */
  readonly login: 'password' | 'entra';
  readonly connectTimeoutSeconds: number;
  /** Environment to name in remedies. */
  readonly environment?: string;
  /** Strings that no message may contain. */
  readonly secrets: readonly string[];
  /** Whether a session was established; an error without one has exit status 2. */
  readonly connected: boolean;
  /** The error that ended the idle connection. @default - unknown */
  readonly ending?: () => Error | undefined;
  /** The session that held the lock at the latest wait for one. @default - unknown */
  readonly blocker?: () => string | undefined;
}

interface ServerError {
  readonly code?: string;
  readonly message: string;
  readonly reason?: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** The reason of a lock that was not free, with the session that held it. */
export function heldBy(reason: string, holder: string | undefined): string {
  return holder === undefined
    ? `${reason}; pg_locks lists the holders of locks`
    : `${reason}; it is held by ${holder}`;
}

type Explanation = readonly [code: FaultCode, what: string, why: string, remedy: string];
type Explain = (error: ServerError, about: Circumstances) => Explanation;

/** Exit status of a command that could not read the server. */
const couldNotRead = 2;

const network: Record<string, Explain> = {
  ECONNREFUSED: (_, { target }) => [
    'connection/refused',
    `${target} refused the connection`,
    'nothing listens at that address and port',
    'Check that the server runs (az postgres flexible-server show) and that host, address and port are right.',
  ],
  ENOTFOUND: (_, { target, host }) => [
    'connection/host-unknown',
    `${target} cannot be found`,
    `DNS has no address for ${host} here; the name of a server with a private endpoint resolves only inside its network`,
    'Run inside the network, or open a tunnel and give --host-address 127.0.0.1 (or PGHOSTADDR).',
  ],
  EAI_AGAIN: (_, { target, host }) => [
    'connection/dns-unavailable',
    `The address of ${target} cannot be resolved`,
    `DNS did not answer for ${host}`,
    'Check the name server, or give the address with --host-address (or PGHOSTADDR).',
  ],
  CERT_HAS_EXPIRED: (_, { target }) => [
    'tls/certificate-expired',
    `${target} presented an expired certificate`,
    'an expired certificate does not authenticate the server',
    "Renew the server's certificate. If other machines accept it, correct this machine's clock.",
  ],
  CERT_NOT_YET_VALID: (_, { target }) => [
    'tls/certificate-not-yet-valid',
    `${target} presented a certificate that is not valid yet`,
    'its validity begins in the future',
    "Correct this machine's clock.",
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: ({ reason, message }, { target, host }) => [
    'tls/certificate-for-another-host',
    `${target} presented a certificate for another host`,
    `it does not carry ${host}: ${reason ?? message}`,
    'Use the host name that the certificate carries. For a tunnel, keep that name and give the address with --host-address.',
  ],
};

const unknownAuthority: Explain = ({ code }, { target }) => [
  'tls/unknown-authority',
  `${target} presented a certificate of an unknown authority`,
  `no trusted authority signed it (${code})`,
  'Name the PEM file of its authority with sslrootcert= or PGSSLROOTCERT. If a public authority should have signed it, another machine may be impersonating the server.',
];
for (const code of [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]) {
  network[code] = unknownAuthority;
}

const unreachable: Explain = ({ code, message }, { target, connectTimeoutSeconds }) => [
  'connection/unreachable',
  `${target} cannot be reached`,
  code === 'ECONNRESET'
    ? 'the connection was reset before it was established'
    : reachability(message, connectTimeoutSeconds),
  'Check network, firewall rules and private endpoint. From outside the network, use a tunnel and --host-address.',
];
for (const code of ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNRESET', 'EPIPE'])
  network[code] = unreachable;

function reachability(message: string, seconds: number): string {
  return message === 'timeout expired' ? `no answer within ${seconds} s` : message;
}

const login: Explain = ({ message }, { target, user, login: kind }) => [
  'connection/login-refused',
  `${target} refused the login of ${user}`,
  message,
  kind === 'password'
    ? 'Check user and password (PGPASSWORD or the URL).'
    : 'Use the name of the Entra principal as PostgreSQL knows it (the display name of the group, case-sensitive), sign in as a member of it, and renew the token: az login.',
];

const permission: Explain = ({ message }, { user, target }) => [
  'server/permission-denied',
  `${target} denied ${user} a permission`,
  message,
  "Log in as the server's administrator: a member of azure_pg_admin with CREATEROLE, which owns the database. Hand over objects that another administrator created outside this project (ALTER … OWNER TO llama_owner).",
];

const server: Record<string, Explain> = {
  '28P01': login,
  '28000': login,
  '3D000': (_, { host, database }) => [
    'connection/database-missing',
    `Database ${database} does not exist on ${host}`,
    'the deployment creates it before this step runs',
    'Check the database name, or deploy the environment first.',
  ],
  '57P03': ({ message }, { target }) => [
    'connection/not-accepted-now',
    `${target} accepts no connections now`,
    message,
    'It is starting, stopping or recovering: wait, then run the command again.',
  ],
  '53300': ({ message }, { target }) => [
    'connection/none-left',
    `${target} has no connection left`,
    message,
    'Stop idle clients or reduce the pool sizes (docs: pool arithmetic), then run the command again.',
  ],
  '53100': ({ message }, { target }) => [
    'server/disk-full',
    `The disk of ${target} is full`,
    message,
    'Enlarge the storage (server.storage.sizeGb) or free space, then run the command again. Uncommitted work was rolled back.',
  ],
  '25006': ({ message }, { target }) => [
    'server/refuses-writes',
    `${target} accepts no writes`,
    `${message}; Azure makes a server read-only at 95 % of its storage, and a replica is always read-only`,
    'Enlarge the storage, or connect to the writer.',
  ],
  '55P03': ({ message }, { target, blocker }) => [
    'server/lock-not-available',
    `A lock was not available on ${target}`,
    heldBy(message, blocker?.()),
    'End that session (pg_terminate_backend) or its transaction, then run the command again. The step that waited changed nothing.',
  ],
  '57014': ({ message }, { target }) => [
    'server/statement-cancelled',
    `A statement was cancelled on ${target}`,
    message,
    'Run the command again when the server is less busy. The cancelled step was rolled back.',
  ],
  '40P01': ({ message }, { target }) => [
    'server/deadlock',
    `PostgreSQL ended a deadlock on ${target}`,
    message,
    'Run the command again. The step that lost was rolled back.',
  ],
  '42501': permission,
};
const ended: Explain = ({ message }, { target }) => [
  'connection/ended-by-server',
  `${target} ended the connection`,
  message,
  'Typical causes are a restart, a failover or an administrator. Run the command again; uncommitted work was rolled back.',
];
for (const code of ['57P01', '57P02', '57P05', '25P03', '25P04', '08000', '08003', '08006', '08P01']) {
  server[code] = ended;
}

const aboutLoss =
  /Connection terminated|Client has encountered a connection error|Connection ended unexpectedly/;

const byMessage: readonly (readonly [RegExp, Explain])[] = [
  [/^timeout expired$/, unreachable],
  [
    aboutLoss,
    ({ message }, { target }) => [
      'connection/lost',
      `The connection to ${target} was lost`,
      message,
      'Run the command again. Uncommitted work was rolled back, and the next run continues from there.',
    ],
  ],
  [
    /does not support SSL/,
    (_, { target }) => [
      'tls/not-offered',
      `${target} does not speak TLS`,
      'without encryption, anyone on the network path could read login and data',
      'Switch ssl on at the server. On Azure, keep require_secure_transport on.',
    ],
  ],
  [
    /error establishing an SSL connection|wrong version number|SSL routines/i,
    ({ message }, { target }) => [
      'tls/handshake-failed',
      `${target} did not answer like PostgreSQL`,
      `the TLS handshake failed: ${message}`,
      'Check that host and port belong to PostgreSQL 16 or newer with TLS 1.2 or newer.',
    ],
  ],
];

/**
 * Explains an error of the connection or the server.
 *
 * @param doing the activity that failed, such as `Migration 0007_audit_trail`; the message begins with it
 * @returns the Fault itself if it is one, the error itself if neither connection nor server caused it: such an error is a defect
 * of this project and must stay recognizable as one
 */
export function diagnose(error: unknown, about: Circumstances, doing?: string): Error {
  const fault = faultOf(error);
  if (fault) return fault;
  const first = flatten(error);
  // On a connection that has ended, a statement reports only that; the reason was reported when it ended.
  const ending = aboutLoss.test(first.message) ? about.ending?.() : undefined;
  const seen = ending ? flatten(ending) : first;
  const explain = explanationOf(seen);
  if (!explain && about.connected && sqlState(error) === undefined) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const [code, what, why, remedy] = (explain ?? unexplained)(seen, about);
  const clean = (text: string): string => scrub(text, about.secrets);
  return new Fault(code, clean(doing ? `${doing}: ${what}` : what), clean(why), clean(remedy), {
    cause: scrubbedCause(error, about.secrets),
    exitCode: about.connected ? 1 : couldNotRead,
  });
}

const unexplained: Explain = (error, { target }) => [
  'server/error',
  `${target} reported an error`,
  [error.message, harmlessDetail(error)].filter(Boolean).join(' - '),
  error.hint ?? 'Correct the cause and run the command again.',
];

/** The SQLSTATE (five characters), if the server reported one. */
export function sqlState(error: unknown): string | undefined {
  const { code } = flatten(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code) ? code : undefined;
}

/**
 * Whether a retry without any change may succeed: the server could not be reached, is starting, or has no connection
 * left. Wrong passwords and certificates do not qualify.
 */
export function isConnectionError(error: unknown): boolean {
  const { code, message } = flatten(error);
  if (code !== undefined) {
    if (/^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/.test(code))
      return true;
    if (/^(57P0[1235]|53300|08\w{3})$/.test(code)) return true;
  }
  return /^timeout expired$|Connection terminated|Connection ended unexpectedly/.test(message);
}

/**
 * Replaces secrets in a text. A secret of fewer than eight characters is replaced only as a whole word, because
 * ordinary words contain such short strings.
 */
export function scrub(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length > 0)
    .reduce((rest, secret) => {
      if (secret.length >= 8) return rest.replaceAll(secret, '***');
      const alone = new RegExp(`(?<![\\w.-])${secret.replace(/[^\w]/g, '\\$&')}(?![\\w.-])`, 'g');
      return rest.replace(alone, '***');
    }, text);
}

/** Details of constraint errors quote rows, so only details that list dependent objects are kept. */
function harmlessDetail({ code, detail }: ServerError): string | undefined {
  return code === '2BP01' ? detail : undefined;
}

function explanationOf(error: ServerError): Explain | undefined {
  const byCode = error.code === undefined ? undefined : (network[error.code] ?? server[error.code]);
  if (byCode) return byCode;
  if (error.code?.startsWith('08')) return ended;
  return byMessage.find(([pattern]) => pattern.test(error.message))?.[1];
}

/** For several failed addresses of one host, Node throws an AggregateError without a message of its own. */
function flatten(error: unknown): ServerError {
  if (error instanceof Fault && error.cause !== undefined) return flatten(error.cause);
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return flatten(error.errors[0]);
  if (!(error instanceof Error)) return { message: String(error) };
  const field = (name: string): string | undefined => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === 'string' ? value : undefined;
  };
  const [code, reason, detail, hint] = [field('code'), field('reason'), field('detail'), field('hint')];
  return {
    message: error.message,
    ...(code ? { code } : {}),
    ...(reason ? { reason } : {}),
    ...(detail ? { detail } : {}),
    ...(hint ? { hint } : {}),
  };
}

/** Message and stack only: other properties of the error describe the statement. Commands print causes with --debug. */
function scrubbedCause(error: unknown, secrets: readonly string[]): Error {
  const cause = new Error(scrub(messageOf(error), secrets));
  if (error instanceof Error && error.stack) cause.stack = scrub(error.stack, secrets);
  const { code } = flatten(error);
  return code === undefined ? cause : Object.assign(cause, { code });
}
