/** The directory: principals, groups, credentials, and the tokens that it has issued. */

import { randomBytes } from 'node:crypto';
import type { PrincipalType } from '../../../azure/vocabulary.ts';
import type { JsonObject } from '../../../core/json.ts';
import { entra } from '../refusals/entra.ts';
import type { AzureRequest } from './http.ts';
import type { Memory } from './memory.ts';

export interface Principal {
  readonly objectId: string;
  readonly kind: PrincipalType;
  readonly displayName: string;
  readonly appId?: string;
}

interface Token {
  readonly audience: string;
  readonly expiresAt: number;
  /** Object id of the principal. */
  readonly objectId: string;
}

/** A token as it leaves the directory. */
export interface IssuedToken {
  readonly token: string;
  /** Without `/.default`. */
  readonly audience: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Object id of the owner. */
  readonly objectId: string;
}

export interface DirectoryOptions {
  readonly tenantId: string;
  /** The identity that deploys. */
  readonly client: Principal & { readonly appId: string };
  readonly clientSecret: string;
  /** Seconds a token is valid. */
  readonly tokenLifetime: number;
  /** Receives each token before its owner does. @default - nobody */
  readonly tokenIssued?: ((token: IssuedToken) => void | Promise<void>) | undefined;
}

export class Directory {
  readonly #principals: Map<string, Principal>;
  readonly #tokens: Map<string, Token>;
  /** Members by group. */
  readonly #members: Map<string, readonly string[]>;
  /** Applications whose secret has expired. */
  readonly #expired: Map<string, true>;

  constructor(
    memory: Memory,
    readonly options: DirectoryOptions,
  ) {
    this.#principals = memory.map('principals');
    this.#tokens = memory.map('tokens');
    this.#members = memory.map('members');
    this.#expired = memory.map('expiredCredentials');
    this.add(options.client);
  }

  add(principal: Principal): void {
    this.#principals.set(principal.objectId.toLowerCase(), principal);
  }

  remove(objectId: string): void {
    this.#principals.delete(objectId.toLowerCase());
  }

  find(objectId: string): Principal | undefined {
    return this.#principals.get(objectId.toLowerCase());
  }

  /** The principal of an application. */
  application(clientId: string): Principal | undefined {
    return this.list().find(({ appId }) => appId === clientId);
  }

  /** Adds a member to a group, which need not be in the directory yet. */
  addMember(group: string, member: string): void {
    const others = this.#members.get(group.toLowerCase()) ?? [];
    this.#members.set(group.toLowerCase(), [...others, member.toLowerCase()]);
  }

  removeMember(group: string, member: string): void {
    const others = (this.#members.get(group.toLowerCase()) ?? []).filter(
      (one) => one !== member.toLowerCase(),
    );
    this.#members.set(group.toLowerCase(), others);
  }

  /** Whether a principal is that one or a member of it. */
  isOrBelongsTo(member: string, principal: string): boolean {
    const [who, wanted] = [member.toLowerCase(), principal.toLowerCase()];
    return who === wanted || (this.#members.get(wanted) ?? []).includes(who);
  }

  list(): Principal[] {
    return [...this.#principals.values()];
  }

  /** Expires the secret of the client and every token. */
  expireCredentials(): void {
    this.#expired.set(this.options.client.appId, true);
    this.#tokens.clear();
  }

  /** Makes the secret of the client valid again. */
  renewCredentials(): void {
    this.#expired.delete(this.options.client.appId);
  }

  /** Revokes every token for that audience. */
  revokeTokens(audience: string): void {
    for (const [token, one] of this.#tokens)
      if (one.audience.replace(/\/+$/, '') === audience) this.#tokens.delete(token);
  }

  /**
   * Signs an application in with its secret.
   *
   * @throws ArmError with the code and the words of Entra
   */
  withSecret(clientId: string, secret: string): Principal {
    const { client, clientSecret, tenantId } = this.options;
    if (clientId !== client.appId) throw entra.applicationNotFound(clientId, tenantId);
    if (this.#expired.has(clientId)) throw entra.secretExpired(clientId);
    if (secret !== clientSecret) throw entra.invalidSecret(clientId);
    return client;
  }

  /** A token for a principal. @default - for the deploying identity */
  async issue(audience: string, principal: Principal = this.options.client): Promise<string> {
    const { tenantId, tokenLifetime, tokenIssued } = this.options;
    const { objectId, appId = objectId } = principal;
    const expiresAt = Date.now() + tokenLifetime * 1000;
    const claims = {
      aud: audience,
      iss: `https://sts.windows.net/${tenantId}/`,
      iat: Math.floor(Date.now() / 1000),
      exp: Math.floor(expiresAt / 1000),
      appid: appId,
      idtyp: 'app',
      oid: objectId,
      sub: objectId,
      tid: tenantId,
    };
    const token = unsignedToken(claims);
    this.#tokens.set(token, { audience, expiresAt, objectId });
    await tokenIssued?.({ token, audience, expiresAt, objectId });
    return token;
  }

  /** The principal whose token a request carries; undefined if it is not valid for that audience. */
  callerOf(request: AzureRequest, audience: string): Principal | undefined {
    const token = this.#tokens.get((request.headers['authorization'] ?? '').replace(/^Bearer /i, ''));
    if (token === undefined || token.expiresAt < Date.now()) return undefined;
    return token.audience.replace(/\/+$/, '') === audience.replace(/\/+$/, '')
      ? this.find(token.objectId)
      : undefined;
  }
}

/** A token with a random part where a signature would stand. */
export function unsignedToken(claims: JsonObject): string {
  return [
    Buffer.from(JSON.stringify({ typ: 'JWT', alg: 'none' })).toString('base64url'),
    Buffer.from(JSON.stringify(claims)).toString('base64url'),
    randomBytes(32).toString('base64url'),
  ].join('.');
}
