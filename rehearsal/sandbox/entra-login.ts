/**
 * Tokens of the local Entra as passwords of the local PostgreSQL.
 *
 * A Flexible Server verifies the token that arrives in place of a password. A vanilla PostgreSQL cannot: the packaged
 * builds lack PAM and LDAP, and RADIUS stops at 128 bytes, a tenth of a token. So each token becomes the password of
 * its role when it is issued, for as long as it is valid, and only if its owner is the administrator of that name or a
 * member of that group. One difference remains: of two tokens, only the later one logs in.
 */

import { textAt } from '../../core/json.ts';
import type { IssuedToken, LocalAzure } from '../../local/azure/index.ts';
import { administration } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { setPassword } from '../../local/postgres/password.ts';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import { tokenScope } from '../../runtime/credentials.ts';

const audience = tokenScope.replace(/\/\.default$/, '');

/** Makes a token the password of each administrator role that the control plane grants to its owner. */
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
