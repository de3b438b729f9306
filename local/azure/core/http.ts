import type { Json, JsonObject } from '../../../core/json.ts';

export interface AzureRequest {
  readonly method: string;
  /** Host name the client asked for, lower case, without a port. */
  readonly host: string;
  /** Path, percent-decoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Whether it comes from inside the virtual network, where private endpoints are reached. @default false */
  readonly fromNetwork?: boolean;
}

export interface AzureResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A value is sent as JSON; a buffer as it is. @default - no body */
  readonly body?: Json | Buffer;
}

/** What Azure Resource Manager answers when it refuses: a status, a code and a sentence. */
export class ArmError extends Error {
  override readonly name = 'ArmError';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }

  toResponse(): AzureResponse {
    return {
      status: this.status,
      headers: { 'x-ms-failure-cause': 'gateway', ...this.headers },
      body: { error: { code: this.code, message: this.message } },
    };
  }
}

/**
 * Asked for something this stand-in does not know. Never answered with a guess: the request is recorded, and
 * whoever runs the stand-in fails on it.
 */
export class UnknownRequest extends Error {
  override readonly name = 'UnknownRequest';
}

export function jsonBody(request: AzureRequest): JsonObject {
  if (request.body.length === 0) return {};
  const parsed: unknown = JSON.parse(request.body.toString('utf8'));
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new ArmError(400, 'InvalidRequestContent', 'The request content was not a JSON object.');
  return parsed as JsonObject;
}

export function apiVersion(request: AzureRequest): string {
  return request.query.get('api-version') ?? 'none';
}
