import type { TestProject } from 'vitest/node';
import type { ServerAddress } from '../../local/postgres/address.ts';
import { startPostgres } from '../../local/postgres/server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgres: ServerAddress;
  }
}

/** Name that the shared server's certificate carries beside localhost. */
const hostName = 'llama-mapper-test.postgres.database.azure.com';

/** One server for all tests of a run; it ends with the run, also when the run is killed. */
export default async function startSharedServer(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres({ hostNames: [hostName] });
  const { port, caFile, hostNames, administrator, passwords, database } = server;
  project.provide('postgres', { port, caFile, hostNames, administrator, passwords, database });
  return () => server.stop();
}
