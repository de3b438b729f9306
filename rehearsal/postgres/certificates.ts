import { generate } from 'selfsigned';

export interface ServerCertificate {
  /** Certificate of the authority that a client is told to trust, PEM. */
  readonly authority: string;
  readonly certificate: string;
  readonly privateKey: string;
}

const day = 24 * 60 * 60 * 1000;

/**
 * A certificate authority made for one server, and the server's certificate signed by it.
 *
 * @param hostNames names the certificate carries beside localhost and 127.0.0.1
 * @param expired make a certificate whose time was over yesterday (its authority's is not)
 */
export async function issueCertificate(
  hostNames: readonly string[],
  expired = false,
): Promise<ServerCertificate> {
  const now = Date.now();
  const authority = await generate([{ name: 'commonName', value: 'Local PostgreSQL authority' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - 30 * day),
    notAfterDate: new Date(now + 30 * day),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const names = hostNames.length > 0 ? hostNames : ['localhost'];
  const server = await generate([{ name: 'commonName', value: 'Local PostgreSQL server' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - 10 * day),
    notAfterDate: new Date(expired ? now - day : now + 10 * day),
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: names.map(alternativeName) },
    ],
  });
  return { authority: authority.cert, certificate: server.cert, privateKey: server.private };
}

function alternativeName(name: string) {
  return /^[\d.]+$/.test(name) ? { type: 7 as const, ip: name } : { type: 2 as const, value: name };
}
