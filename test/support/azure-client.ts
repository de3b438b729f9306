/** A client of the local Azure as any other: through the proxy, over TLS that checks the public host names. */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import { versionFor } from '../../azure/resource-types.ts';
import type { LocalAzure } from '../../local/azure/index.ts';

export interface AnswerBody {
  readonly error: { readonly code: string; readonly message: string };
  readonly error_description: string;
  readonly access_token: string;
  readonly status: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** Parsed, when it is JSON; which of its fields are there is what a test asserts. */
  readonly body: AnswerBody;
}

export interface Call {
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export class AzureClient {
  readonly #token = new Map<string, string>();
  #trust: tls.SecureContext | undefined;
  /**
   * @param position whether it stands in the virtual network. @default 'internet'
   * @param identity the one of a workflow that it signs in as. @default - the deploying identity, with a secret
   */
  constructor(
    readonly azure: LocalAzure,
    readonly position: 'internet' | 'network' = 'internet',
    readonly identity?: { readonly clientId: string; readonly assertion: string },
  ) {}

  /** Asks the control plane, with a token. @param version - the one of azure/resource-types.ts for the path */
  async arm(method: string, path: string, body?: unknown, version = versionFor(path)): Promise<Answer> {
    return this.call(method, `${path}?api-version=${version}`, {
      headers: await this.authorization('https://management.azure.com'),
      ...(body === undefined ? {} : { body }),
    });
  }

  /** Asks, and waits for the operation if one began. @returns the operation's status document, or the answer's */
  async done(method: string, path: string, body?: unknown, version?: string): Promise<Answer> {
    const answer = await this.arm(method, path, body, version);
    const poll = answer.headers['azure-asyncoperation'];
    if (answer.status >= 300 || typeof poll !== 'string') return answer;
    const url = new URL(poll);
    for (;;) {
      const state = await this.call('GET', url.pathname + url.search, {
        headers: await this.authorization('https://management.azure.com'),
      });
      if (state.body.status !== 'InProgress') return state;
    }
  }

  async authorization(audience: string): Promise<Record<string, string>> {
    const token = this.#token.get(audience) ?? String((await this.token(audience)).body.access_token);
    this.#token.set(audience, token);
    return { authorization: `Bearer ${token}` };
  }

  /** Entra's answer to a request for a token. */
  token(audience: string): Promise<Answer> {
    const environment = this.azure.environment;
    return this.call('POST', `/${this.azure.tenantId}/oauth2/v2.0/token`, {
      host: 'login.microsoftonline.com',
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        ...(this.identity
          ? { client_id: this.identity.clientId, client_assertion: this.identity.assertion }
          : {
              client_id: environment['ARM_CLIENT_ID'] ?? '',
              client_secret: environment['ARM_CLIENT_SECRET'] ?? '',
            }),
        scope: `${audience}/.default`,
      }).toString(),
    });
  }

  async call(
    method: string,
    path: string,
    { host = 'management.azure.com', headers, body }: Call = {},
  ): Promise<Answer> {
    const socket = await this.connect(host);
    const sent = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          method,
          path,
          host,
          createConnection: () => socket,
          headers: { connection: 'close', ...headers },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => {
            const isJson = response.headers['content-type']?.includes('json') && text !== '';
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text,
              body: isJson ? JSON.parse(text) : {},
            });
          });
        },
      );
      request.on('error', reject);
      request.end(sent);
    });
  }

  /** @throws Error with the proxy's status when it does not connect */
  connect(host: string): Promise<tls.TLSSocket> {
    const { environment, networkEnvironment } = this.azure;
    const { HTTPS_PROXY } = this.position === 'network' ? networkEnvironment : environment;
    const proxy = new URL(HTTPS_PROXY ?? '');
    // Read once: the file holds every authority of the system.
    this.#trust ??= tls.createSecureContext({
      ca: readFileSync(this.azure.environment['SSL_CERT_FILE'] ?? '', 'utf8'),
    });
    const secureContext = this.#trust;
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: proxy.hostname,
        port: proxy.port,
        method: 'CONNECT',
        path: `${host}:443`,
        ...(proxy.username ? { headers: { 'proxy-authorization': basic(proxy) } } : {}),
      });
      request.on('error', reject);
      request.on('connect', (response: http.IncomingMessage, raw: Duplex) => {
        if (response.statusCode !== 200) {
          raw.destroy();
          reject(new Error(`CONNECT ${host}: ${response.statusCode}`));
          return;
        }
        const secure = tls.connect({ socket: raw, servername: host, secureContext }, () => resolve(secure));
        secure.on('error', reject);
      });
      request.end();
    });
  }
}

function basic({ username, password }: URL): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
