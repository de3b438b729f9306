/**
 * Tokens of the local Entra as passwords of the local PostgreSQL.
 *
 * A Flexible Server verifies the token that arrives in place of a password. A vanilla PostgreSQL cannot: the packaged
 * builds lack PAM and LDAP, and RADIUS stops at 128 bytes, a tenth of a token. So each token becomes the password of
 * its role when it is issued, for as long as it is valid, and only if its owner is the administrator of that name or a
 * member of that group. VALID UNTIL is not used: verification reports it, as a login that expires. One difference remains:
 * of two tokens, only the later one logs in.
 */

import { textAt } from '../../core/json.ts';
import type { IssuedToken, LocalAzure } from '../../local/azure/index.ts';
import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { setPassword } from '../../local/postgres/password.ts';
import { type LocalPostgres, randomPassword } from '../../local/postgres/server.ts';
import { tokenScope } from '../../runtime/credentials.ts';

const audience = tokenScope.replace(/\/\.default$/, '');

/** The token that logs in now, by the name of its role. */
const current = new WeakMap<LocalPostgres, Map<string, string>>();

/** Makes a token the password of each administrator role that the control plane grants to its owner. */
export async function admit(issued: IssuedToken, azure: LocalAzure, postgres: LocalPostgres): Promise<void> {
  if (issued.audience !== audience) return;
  const administrators = azure.state
    .ofType('Microsoft.DBforPostgreSQL/flexibleServers/administrators')
    .filter(({ name }) => azure.directory.isOrBelongsTo(issued.objectId, name));
  for (const { body } of administrators) {
    const name = textAt(body, 'properties', 'principalName');
    if (name === undefined) continue;
    await become(postgres, name, issued.token);
    expire(postgres, name, issued);
  }
}

async function become(postgres: LocalPostgres, role: string, password: string): Promise<void> {
  const passwords = current.get(postgres) ?? new Map<string, string>();
  current.set(postgres, passwords.set(role, password));
  await within(administration(postgres), (client) => setPassword(client, role, password));
}

/** Ends the login when the token expires, unless a later token has replaced it or the server is gone. */
function expire(postgres: LocalPostgres, role: string, { token, expiresAt }: IssuedToken): void {
  const end = async () => {
    if (current.get(postgres)?.get(role) === token) await become(postgres, role, randomPassword());
  };
  setTimeout(() => void end().catch(() => undefined), expiresAt - Date.now()).unref();
}
