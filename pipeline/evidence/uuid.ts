/** Identifiers that follow from content: UUIDs of version 5 (RFC 9562), so that the same pack has the same bytes. */
import { createHash } from 'node:crypto';

/** Namespace of this project's packs. */
const namespace = 'a4f0b9a6-7c55-5d2b-9a39-0a0a7d1f8a54';

/** @param names joined by a line feed, which none of them contains */
export function uuid5(...names: readonly string[]): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(names.join('\n'))
    .digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.subarray(0, 16).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
