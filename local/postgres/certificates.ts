import { randomBytes } from 'node:crypto';
import { generate } from 'selfsigned';

export interface ServerCertificate {
  /** Certificate of the authority that a client is told to trust, PEM. */
  readonly authority: string;
  readonly certificate: string;
  readonly privateKey: string;
  /** Who signed it. */
  readonly issuer: Issuer;
}

/** A certificate authority: its certificate and its key, PEM. */
export interface Issuer {
  readonly certificate: string;
  readonly key: string;
}

const day = 24 * 60 * 60 * 1000;

/**
 * A server's certificate and the authority that has signed it.
 *
 * @param hostNames names the certificate carries beside localhost and 127.0.0.1
 * @param expired make a certificate whose time was over yesterday (its authority's is not)
 * @param issuer the authority. @default - one made for this server
 */
export async function issueCertificate(
  hostNames: readonly string[],
  expired = false,
  issuer?: Issuer,
): Promise<ServerCertificate> {
  const now = Date.now();
  const { certificate: authority, key } = issuer ?? (await makeIssuer(now));
  const names = hostNames.length > 0 ? hostNames : ['localhost'];
  const server = await generate([{ name: 'commonName', value: 'Local PostgreSQL server' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - 10 * day),
    notAfterDate: new Date(expired ? now - day : now + 10 * day),
    ca: { key, cert: authority },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: names.map(alternativeName) },
    ],
  });
  return {
    authority,
    certificate: server.cert,
    privateKey: server.private,
    issuer: { certificate: authority, key },
  };
}

async function makeIssuer(now: number): Promise<Issuer> {
  // A name of its own: among several authorities in one file, a client looks for the issuer by name.
  const name = `Local PostgreSQL authority ${randomBytes(4).toString('hex')}`;
  const authority = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - 30 * day),
    notAfterDate: new Date(now + 30 * day),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { certificate: authority.cert, key: authority.private };
}

function alternativeName(name: string) {
  return /^[\d.]+$/.test(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name };
}
