/**
 * Limits of the resource manager: a bucket of requests per kind, refilled every second.
 * https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
 */

import { general } from '../refusals/general.ts';
import type { Clock } from './clock.ts';
import type { AzureRequest } from './http.ts';

interface Limit {
  /** Requests at once. */
  readonly bucket: number;
  readonly perSecond: number;
}

const limits: Readonly<Record<'Reads' | 'Writes' | 'Deletes', Limit>> = {
  Reads: { bucket: 250, perSecond: 25 },
  Writes: { bucket: 200, perSecond: 10 },
  Deletes: { bucket: 200, perSecond: 10 },
};

export class Throttle {
  readonly #buckets = new Map<string, { left: number; at: number }>();

  constructor(readonly clock: Clock) {}

  /** Takes a request out of its bucket. @throws ArmError 429 with Retry-After if the bucket is empty */
  take({ method }: Pick<AzureRequest, 'method'>): void {
    const kind = ['GET', 'HEAD'].includes(method) ? 'Reads' : method === 'DELETE' ? 'Deletes' : 'Writes';
    const { bucket, perSecond } = limits[kind];
    const now = this.clock.now();
    const before = this.#buckets.get(kind) ?? { left: bucket, at: now };
    const left = Math.min(bucket, before.left + ((now - before.at) / 1000) * perSecond);
    if (left < 1) {
      this.#buckets.set(kind, { left, at: now });
      throw general.throttled(kind.toLowerCase(), bucket, Math.ceil((1 - left) / perSecond));
    }
    this.#buckets.set(kind, { left: left - 1, at: now });
  }
}
