/**
 * Turns what pg, TLS and PostgreSQL throw into a line a person can act on.
 */
import { Fault } from '../core/fault.ts';

/** What is known about the connection when something fails on it. */
export interface Circumstances {
  /** As printed: host, port, database. Never the password. */
  readonly target: string;
  /** Host name that the certificate must carry. */
  readonly host: string;
  readonly user: string;
  readonly database: string;
  /** How the login proves itself. */
  readonly login: 'password' | 'entra';
  readonly connectTimeoutSeconds: number;
  /** Environment to name in remedies. */
  readonly environment?: string;
  /** Strings that may never be printed. */
  readonly secrets: readonly string[];
  /** Whether a session exists already; without one the command could not look (exit 2). */
  readonly connected: boolean;
  /** What ended the connection while nothing was asked of it. @default - unknown */
  readonly ending?: () => Error | undefined;
}

interface ServerError {
  readonly code?: string;
  readonly message: string;
  readonly reason?: string;
  readonly detail?: string;
  readonly hint?: string;
}

type Explanation = readonly [what: string, why: string, remedy: string];
type Explain = (error: ServerError, about: Circumstances) => Explanation;

/** Exit status: the command could not look. */
const couldNotLook = 2;

const network: Record<string, Explain> = {
  ECONNREFUSED: (_, { target }) => [
    `${target} refused the connection`,
    'nothing listens at that address and port',
    'Check that the server runs (az postgres flexible-server show) and that host, address and port are right.',
  ],
  ENOTFOUND: (_, { target, host }) => [
    `${target} cannot be found`,
    `DNS has no address for ${host} here; a server with a private endpoint is known only inside its network`,
    'Run inside the network, or open a tunnel and give --host-address 127.0.0.1 (or PGHOSTADDR).',
  ],
  EAI_AGAIN: (_, { target, host }) => [
    `${target} cannot be found`,
    `DNS did not answer for ${host}`,
    'Check the name server, or give the address with --host-address (or PGHOSTADDR).',
  ],
  CERT_HAS_EXPIRED: (_, { target }) => [
    `${target} presented an expired certificate`,
    'a certificate past its last day proves nothing',
    "Renew the server's certificate; if it is valid elsewhere, check this machine's clock.",
  ],
  CERT_NOT_YET_VALID: (_, { target }) => [
    `${target} presented a certificate that is not valid yet`,
    'its first day lies ahead',
    "Check this machine's clock.",
  ],
  ERR_TLS_CERT_ALTNAME_INVALID: ({ reason, message }, { target, host }) => [
    `${target} presented a certificate for another host`,
    `it does not carry ${host}: ${reason ?? message}`,
    'Use the host name that the certificate carries; for a tunnel keep that name and give the address with --host-address.',
  ],
};

const unknownAuthority: Explain = ({ code }, { target }) => [
  `${target} presented a certificate of an unknown authority`,
  `no trusted authority signed it (${code})`,
  'Name the PEM file of its authority with sslrootcert= or PGSSLROOTCERT; if there should be none, something answers in the place of the server.',
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
  `${target} cannot be reached`,
  code === 'ECONNRESET'
    ? 'the connection was cut while it was being made'
    : reachability(message, connectTimeoutSeconds),
  'Check network, firewall rules and private endpoint; from outside the network use a tunnel and --host-address.',
];
for (const code of ['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ECONNRESET', 'EPIPE'])
  network[code] = unreachable;

function reachability(message: string, seconds: number): string {
  return message === 'timeout expired' ? `no answer within ${seconds} s` : message;
}

const login: Explain = ({ message }, { target, user, login: kind }) => [
  `${target} refused the login of ${user}`,
  message,
  kind === 'password'
    ? 'Check user and password (PGPASSWORD or the URL).'
    : 'The user name must be the Entra principal as PostgreSQL knows it (display name of the group, case-sensitive), the signed-in identity must be its member, and the token must be fresh: az login.',
];

const permission: Explain = ({ message }, { user, target }) => [
  `${user} may not do that on ${target}`,
  message,
  "Log in as the server's administrator: a member of azure_pg_admin with CREATEROLE, which owns the database. Objects that another administrator created outside this project must be handed over (ALTER and OWNER TO llama_owner).",
];

const server: Record<string, Explain> = {
  '28P01': login,
  '28000': login,
  '3D000': (_, { host, database }) => [
    `${host} has no database ${database}`,
    'the deployment creates it before this step runs',
    'Check the database name, or deploy the environment first.',
  ],
  '57P03': ({ message }, { target }) => [
    `${target} does not take connections now`,
    message,
    'It is starting, stopping or recovering: wait and run the command again.',
  ],
  '53300': ({ message }, { target }) => [
    `${target} has no connection left`,
    message,
    'Stop idle clients or make the pools smaller (docs: pool arithmetic), then run the command again.',
  ],
  '53100': ({ message }, { target }) => [
    `The disk of ${target} is full`,
    message,
    'Enlarge the storage (server.storage.sizeGb) or free space, then run the command again: what was not committed is undone.',
  ],
  '25006': ({ message }, { target }) => [
    `${target} takes no writes`,
    `${message}; Azure makes a server read-only at 95 % storage, and a replica always is`,
    'Enlarge the storage, or connect to the writer.',
  ],
  '55P03': ({ message }, { target }) => [
    `A lock could not be had on ${target}`,
    message,
    'Something holds the table: look for long transactions (pg_stat_activity, pg_locks), then run the command again. Nothing was changed by the step that waited.',
  ],
  '57014': ({ message }, { target }) => [
    `A statement was cancelled on ${target}`,
    message,
    'Run the command again when the server is less busy; the step that was cancelled is undone.',
  ],
  '40P01': ({ message }, { target }) => [
    `A deadlock was broken on ${target}`,
    message,
    'Run the command again; the step that lost is undone.',
  ],
  '42501': permission,
};
const ended: Explain = ({ message }, { target }) => [
  `${target} ended the connection`,
  message,
  'A restart, a failover or an administrator did it: run the command again; what was not committed is undone.',
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
      `The connection to ${target} was lost`,
      message,
      'Run the command again: what was not committed is undone, and the next run continues where this one stopped.',
    ],
  ],
  [
    /does not support SSL/,
    (_, { target }) => [
      `${target} does not speak TLS`,
      'an unencrypted connection is refused: login and data would be readable on the way',
      'Switch ssl on at the server; on Azure keep require_secure_transport on.',
    ],
  ],
  [
    /error establishing an SSL connection|wrong version number|SSL routines/i,
    ({ message }, { target }) => [
      `${target} did not answer like PostgreSQL`,
      `the TLS handshake failed: ${message}`,
      'Check that host and port belong to PostgreSQL 16 or newer with TLS 1.2 or newer.',
    ],
  ],
];

/**
 * Explains an error of the connection or the server.
 *
 * @param doing what was being done, e.g. `Migration 0007_audit_trail`; opens the line when given.
 * @returns the error itself when it is a Fault already, or when neither connection nor server caused it: that
 * is a defect of this project and must not be dressed up.
 */
export function diagnose(error: unknown, about: Circumstances, doing?: string): Error {
  if (error instanceof Fault) return error;
  const first = flatten(error);
  // A statement on a connection that ended before only says that it ended; why was said at that time.
  const ending = aboutLoss.test(first.message) ? about.ending?.() : undefined;
  const seen = ending ? flatten(ending) : first;
  const explain = explanationOf(seen);
  if (!explain && about.connected && sqlState(error) === undefined) {
    return error instanceof Error ? error : new Error(String(error));
  }
  const [what, why, remedy] = explain
    ? explain(seen, about)
    : ([
        `${about.target} reported an error`,
        [seen.message, harmlessDetail(seen)].filter(Boolean).join(' - '),
        seen.hint ?? 'Mend the cause and run the command again.',
      ] as const);
  const clean = (text: string): string => scrub(text, about.secrets);
  return new Fault('diagnosis/1', clean(doing ? `${doing}: ${what}` : what), clean(why), clean(remedy), {
    cause: scrubbedCause(error, about.secrets),
    exitCode: about.connected ? 1 : couldNotLook,
  });
}

/** PostgreSQL's error code (five characters), when the server reported one. */
export function sqlState(error: unknown): string | undefined {
  const { code } = flatten(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code) ? code : undefined;
}

/**
 * Whether trying again without changing anything may help: the server could not be reached, is busy starting,
 * or has no connection left. Wrong passwords and certificates are not of this class.
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
 * Removes secrets from a text, wherever they stand; one of fewer than eight characters only where it stands
 * alone, because it would be found inside ordinary words and make the message unreadable.
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

/** Details of constraint errors quote rows, so only those that list dependent objects are kept. */
function harmlessDetail({ code, detail }: ServerError): string | undefined {
  return code === '2BP01' ? detail : undefined;
}

function explanationOf(error: ServerError): Explain | undefined {
  const byCode = error.code === undefined ? undefined : (network[error.code] ?? server[error.code]);
  if (byCode) return byCode;
  if (error.code?.startsWith('08')) return ended;
  return byMessage.find(([pattern]) => pattern.test(error.message))?.[1];
}

/** Node reports several failed addresses of one host as an AggregateError without a message of its own. */
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

/** A cause is printed with --debug only, and then without what pg and the server know about the statement. */
function scrubbedCause(error: unknown, secrets: readonly string[]): Error {
  const cause = new Error(scrub(error instanceof Error ? error.message : String(error), secrets));
  if (error instanceof Error && error.stack) cause.stack = scrub(error.stack, secrets);
  const { code } = flatten(error);
  return code === undefined ? cause : Object.assign(cause, { code });
}
