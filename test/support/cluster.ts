import type { TestProject } from 'vitest/node';
import type { ServerAddress } from '../../local/postgres/address.ts';
import { startPostgres } from '../../local/postgres/server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgres: ServerAddress;
  }
}

/** Host name in the shared server's certificate, beside localhost. */
const hostName = 'llama-mapper-test.postgres.database.azure.com';

/** Starts one server for all tests of a run. It ends with the run, even if the run is killed. */
export default async function startSharedServer(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres({ hostNames: [hostName] });
  const { port, caFile, hostNames, administrator, passwords, database } = server;
  project.provide('postgres', { port, caFile, hostNames, administrator, passwords, database });
  return () => server.stop();
}
