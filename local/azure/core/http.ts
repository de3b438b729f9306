import type { Json } from '../../../core/json.ts';

export interface AzureRequest {
  readonly method: string;
  /** Host name the client asked for, lower case, without a port. */
  readonly host: string;
  /** Path, percent-decoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Whether it comes from inside the virtual network, which reaches private endpoints. @default false */
  readonly fromNetwork?: boolean;
}

export interface AzureResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A value is sent as JSON; a buffer as it is. @default - no body */
  readonly body?: Json | Buffer;
}

export interface ArmErrorOptions {
  /** Name of the refusal in the catalogue. @default - not a refusal of Azure's */
  readonly refusal?: string | undefined;
  /** @default - none */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Code of an inner error. @default - none */
  readonly inner?: string | undefined;
}

/** A refusal of Azure Resource Manager: a status, a code and a sentence. */
export class ArmError extends Error {
  override readonly name: string = 'ArmError';
  readonly refusal: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly inner: string | undefined;
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    options: ArmErrorOptions = {},
  ) {
    super(message);
    this.refusal = options.refusal;
    this.headers = options.headers ?? {};
    this.inner = options.inner;
  }

  toResponse(): AzureResponse {
    return {
      status: this.status,
      headers: { 'x-ms-failure-cause': 'gateway', ...this.headers },
      body: { error: { code: this.code, message: this.message } },
    };
  }
}

/** An error that was answered before, answered again: of an operation, or of a resource of a template. */
export function repeated(status: number, { code, message }: { code: string; message: string }): ArmError {
  return new ArmError(status, code, message);
}

/**
 * A request that the local Azure does not know. It is never answered with a guess: it is recorded, and fails the
 * rehearsal or test.
 */
export class UnknownRequest extends Error {
  override readonly name = 'UnknownRequest';
}

export function apiVersion(request: AzureRequest): string {
  return request.query.get('api-version') ?? 'none';
}
