/**
 * PostgreSQL major versions: the end of community support of each, and those that this project supports.
 *
 * Sources: https://www.postgresql.org/support/versioning/ and
 * https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-version-policy
 */
export const versionsSource = 'https://www.postgresql.org/support/versioning/';

export interface MajorVersion {
  readonly version: number;
  /** Last day of community support, ISO 8601. */
  readonly endOfLife: string;
  /** azurerm 4.55 accepts the version, and every migration is tested on it. */
  readonly supported: boolean;
  /** Features that tenant isolation needs and this version does not have. @default - none */
  readonly lacks?: string;
}

export const majorVersions: readonly MajorVersion[] = [
  { version: 11, endOfLife: '2023-11-09', supported: false },
  { version: 12, endOfLife: '2024-11-21', supported: false },
  { version: 13, endOfLife: '2025-11-13', supported: false },
  { version: 14, endOfLife: '2026-11-12', supported: false },
  {
    version: 15,
    endOfLife: '2027-11-11',
    supported: false,
    // INHERIT FALSE isolates the owning role from tenants, and azure_pg_admin cannot create BYPASSRLS roles before 16.
    lacks: 'GRANT ... WITH INHERIT FALSE and roles with BYPASSRLS, which tenant isolation needs',
  },
  { version: 16, endOfLife: '2028-11-09', supported: true },
  { version: 17, endOfLife: '2029-11-08', supported: true },
  { version: 18, endOfLife: '2030-11-14', supported: true },
];

export const supportedVersions: readonly number[] = majorVersions
  .filter((one) => one.supported)
  .map((one) => one.version);

export function majorVersion(version: number): MajorVersion | undefined {
  return majorVersions.find((one) => one.version === version);
}
