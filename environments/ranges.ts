/** IPv4 ranges as pairs of numbers. */
import ipaddr from 'ipaddr.js';

export interface Range {
  readonly first: number;
  readonly last: number;
}

export interface Cidr extends Range {
  readonly prefix: number;
}

/** An IPv4 address in dotted decimal as a number. Undefined for anything else (`10.1`, `0x0a000001`, IPv6). */
export function parseAddress(text: string): number | undefined {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined;
  return ipaddr.IPv4.parse(text)
    .toByteArray()
    .reduce((number, byte) => number * 256 + byte, 0);
}

/** A range in CIDR notation. Undefined if the text is not a range or its address has bits beyond the prefix. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(text);
  const first = parseAddress(match?.[1] ?? '');
  const prefix = Number(match?.[2]);
  if (first === undefined || prefix > 32) return undefined;
  const size = 2 ** (32 - prefix);
  return first % size === 0 ? { first, last: first + size - 1, prefix } : undefined;
}

export function contains(outer: Range, inner: Range): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}

export function overlaps(left: Range, right: Range): boolean {
  return left.first <= right.last && right.first <= left.last;
}

/** Purpose of an address in the registry of special-purpose addresses. `unicast` is the public internet. */
export function purpose(text: string): string {
  return ipaddr.IPv4.parse(text).range();
}
