/** A server for one verification: an empty database to migrate and compare with. */
import { resolveTarget, type Target } from '../../database/target.ts';
import { startPostgres } from '../../local/postgres/server.ts';

/** @throws Fault where no server programs are installed, or they do not start */
export async function openReference(): Promise<{ readonly target: Target; close(): Promise<void> }> {
  const server = await startPostgres({ databases: ['reference'] });
  const target = await resolveTarget({ url: server.url('migrator') }, {});
  return { target, close: () => server.stop() };
}
