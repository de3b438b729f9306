import { execFileSync } from 'node:child_process';
import type { Installation } from './installation.ts';

export interface Configuration {
  /** Extensions that roles may create. */
  readonly extensions: readonly string[];
  /** Whether data survives a crash of the machine. */
  readonly durable: boolean;
  /** Settings beside the usual ones. An unknown name or a bad value keeps the server from starting. */
  readonly settings: Readonly<Record<string, string>>;
}

/** The text of postgresql.conf: Azure's defaults, and the settings that a local server needs. */
export function configurationFile({ extensions, durable, settings }: Configuration): string {
  const safe = durable ? 'on' : 'off';
  const all: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: 'server.crt',
    ssl_key_file: 'server.key',
    ssl_min_protocol_version: 'TLSv1.3',
    password_encryption: 'scram-sha-256',
    shared_preload_libraries: 'pg_stat_statements',
    // Files in the data directory rather than in /dev/shm, so that a killed server leaves nothing behind.
    dynamic_shared_memory_type: 'mmap',
    shared_buffers: '64MB',
    max_connections: '100',
    superuser_reserved_connections: '10',
    reserved_connections: '5',
    // A standby may start some time after its base was copied.
    wal_keep_size: '64MB',
    // A standby follows again at once after its primary restarted, not after five seconds: tokens reach it through the WAL.
    wal_retrieve_retry_interval: '100ms',
    log_connections: 'on',
    log_disconnections: 'on',
    log_checkpoints: 'on',
    log_line_prefix: '%t-%c-',
    log_timezone: 'UTC',
    timezone: 'UTC',
    lc_messages: 'C',
    'azure.extensions': extensions.join(','),
    fsync: safe,
    synchronous_commit: safe,
    full_page_writes: safe,
    ...settings,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}

/** Parameters that depend on the size of the machine. */
const machineBound = new Set(['shared_buffers', 'effective_cache_size', 'huge_pages']);

/**
 * Selects the server parameters of a deployment that a vanilla server on this machine can have.
 *
 * Left out are parameters that only Azure's builds have, libraries that this build lacks, and memory sizes for another
 * machine. Parameters with a dot stay: PostgreSQL accepts and shows parameters of libraries that it does not have.
 */
export function transferable(
  parameters: Readonly<Record<string, string>>,
  installation: Installation,
): { readonly settings: Record<string, string>; readonly leftOut: readonly string[] } {
  const known = knownParameters(installation);
  const settings: Record<string, string> = {};
  const leftOut: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    if (name === 'shared_preload_libraries') {
      const libraries = value.split(',').map((library) => library.trim());
      const missing = libraries.filter((library) => !installation.libraries.includes(library));
      settings[name] = libraries.filter((library) => !missing.includes(library)).join(',');
      leftOut.push(...missing.map((library) => `${name}: ${library}`));
    } else if (machineBound.has(name) || !(name.includes('.') || known.has(name.toLowerCase()))) {
      leftOut.push(name);
    } else {
      settings[name] = value;
    }
  }
  return { settings, leftOut };
}

const described = new WeakMap<Installation, ReadonlySet<string>>();

function knownParameters(installation: Installation): ReadonlySet<string> {
  const known = described.get(installation) ?? describe(installation);
  described.set(installation, known);
  return known;
}

function describe(installation: Installation): ReadonlySet<string> {
  const description = execFileSync(installation.postgres, ['--describe-config'], {
    encoding: 'utf8',
    maxBuffer: 4 * 1024 * 1024,
  });
  return new Set(description.split('\n').map((line) => (line.split('\t')[0] ?? '').toLowerCase()));
}
