/**
 * Tokens of the local Entra as passwords of the local PostgreSQL.
 *
 * On a Flexible Server the server itself verifies the token that arrives in place of a password. Vanilla PostgreSQL has
 * nobody to ask: of its methods that ask somebody else, PAM and LDAP are not in the packaged builds, and RADIUS stops at
 * 128 bytes, a tenth of a token. So a token becomes the password of the role it is for at the moment it is issued, for
 * as long as it is valid, and only when its owner is the administrator of that name or a member of that group. What
 * differs: with two tokens, the later one alone counts.
 */

import { textAt } from '../core/json.ts';
import type { IssuedToken, LocalAzure } from '../local/azure/index.ts';
import { administration } from '../local/postgres/address.ts';
import { within } from '../local/postgres/bootstrap.ts';
import { setPassword } from '../local/postgres/password.ts';
import type { LocalPostgres } from '../local/postgres/server.ts';
import { tokenScope } from '../runtime/credentials.ts';

const audience = tokenScope.replace(/\/\.default$/, '');

/** Lets the owner of a token log in with it where the control plane says so. */
export async function admit(issued: IssuedToken, azure: LocalAzure, postgres: LocalPostgres): Promise<void> {
  if (issued.audience !== audience) return;
  const administrators = azure.state
    .ofType('Microsoft.DBforPostgreSQL/flexibleServers/administrators')
    .filter(({ name }) => azure.directory.isOrBelongsTo(issued.objectId, name));
  for (const { body } of administrators) {
    const name = textAt(body, 'properties', 'principalName');
    if (name === undefined) continue;
    await within(administration(postgres), (client) =>
      setPassword(client, name, issued.token, issued.expiresAt),
    );
  }
}
