import { randomBytes } from 'node:crypto';
import { generate } from 'selfsigned';

export interface ServerCertificate {
  /** Certificate of the authority that clients trust, PEM. */
  readonly authority: string;
  readonly certificate: string;
  readonly privateKey: string;
  /** The authority that signed it. */
  readonly issuer: Issuer;
}

/** A certificate authority: its certificate and its key, PEM. */
export interface Issuer {
  readonly certificate: string;
  readonly key: string;
}

const day = 24 * 60 * 60 * 1000;

/**
 * Issues a server certificate.
 *
 * @param hostNames names in the certificate. @default - localhost alone if the list is empty
 * @param expired issue a certificate that expired yesterday, by an authority that has not expired
 * @param issuer the authority. @default - a new one
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
  // A unique name, because a client finds the issuer by name among several authorities in one file.
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
