/** Verified TLS: the server's certificate carries the host's name and leads to a trusted root. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { ConfigurationError, reasonOf } from '../errors.ts';

/**
 * Options for the connection to a server.
 *
 * @param roots PEM of the roots to trust. @default - Node's own, which include both roots of Azure's certificates
 */
export function tlsOptions(host: string, roots: string | undefined): ConnectionOptions {
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // Server name indication takes host names only. The check below also handles addresses.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // The dialled address can differ from the name: a resolved address, or a tunnel.
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    ...(roots === undefined ? {} : { ca: roots }),
  };
}

/** @throws ConfigurationError if the file cannot be read */
export function readRoots(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError(
      'configuration/roots-unreadable',
      `The root certificates in ${file} cannot be read`,
      reasonOf(error),
      'Give the path of a readable PEM file, or leave it out to trust the roots of Node.',
      { cause: error },
    );
  }
}

/**
 * Microsoft replaces the intermediates of its servers without notice, and keeps the roots:
 * https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-networking-ssl-tls
 *
 * @throws ConfigurationError if the text contains no certificate, or one that is not a root
 */
export function checkRoots(pem: string, source: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) {
    throw new ConfigurationError(
      'configuration/no-root',
      `${source} contains no certificate`,
      'a PEM file has blocks that begin with -----BEGIN CERTIFICATE-----',
      'Give the PEM of DigiCert Global Root G2 and Microsoft RSA Root CA 2017, or leave it out.',
    );
  }
  for (const block of blocks) {
    const certificate = parsed(block, source);
    if (certificate.ca && certificate.checkIssued(certificate)) continue;
    throw new ConfigurationError(
      'configuration/not-a-root',
      `${source} contains a certificate that is not a root`,
      `${oneLine(certificate.subject)} was issued by ${oneLine(certificate.issuer)}; Microsoft replaces intermediates without notice, and connections would then fail`,
      'Keep only self-signed roots in it: DigiCert Global Root G2 and Microsoft RSA Root CA 2017.',
    );
  }
  return pem;
}

function parsed(block: string, source: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (error) {
    throw new ConfigurationError(
      'configuration/certificate-malformed',
      `${source} contains a certificate that cannot be read`,
      reasonOf(error),
      'Copy the PEM file again.',
      { cause: error },
    );
  }
}

function oneLine(name: string): string {
  return name.trim().split('\n').join(', ');
}
