import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contains, overlaps, parseAddress, parseCidr } from '../../environments/ranges.ts';

/** A range as bits: its prefix is common to all its addresses, as routers read it. */
const cidr = fc
  .record({ address: fc.nat(2 ** 32 - 1), prefix: fc.integer({ min: 0, max: 32 }) })
  .map(({ address, prefix }) => {
    const bits = address.toString(2).padStart(32, '0').slice(0, prefix);
    const first = Number.parseInt(bits.padEnd(32, '0'), 2);
    return { bits, text: `${dotted(first)}/${prefix}` };
  });

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

function parsed(text: string) {
  const range = parseCidr(text);
  if (!range) throw new Error(`${text} does not parse`);
  return range;
}

describe('address ranges', () => {
  it('nest and overlap exactly as their common bits do', () => {
    fc.assert(
      fc.property(cidr, cidr, (left, right) => {
        const [one, other] = [parsed(left.text), parsed(right.text)];
        expect(contains(one, other)).toBe(right.bits.startsWith(left.bits));
        expect(overlaps(one, other)).toBe(
          left.bits.startsWith(right.bits) || right.bits.startsWith(left.bits),
        );
      }),
    );
  });

  it('hold as many addresses as their prefix leaves', () => {
    fc.assert(
      fc.property(cidr, ({ bits, text }) => {
        const { first, last, prefix } = parsed(text);
        expect([prefix, last - first + 1]).toEqual([bits.length, 2 ** (32 - bits.length)]);
      }),
    );
  });

  it.each([
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.1/24',
    '10.0/16',
    '0x0a000000/8',
    'fd00::/8',
    '256.0.0.0/8',
    '',
  ])('%j is none', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  it.each(['10.1', '010.0.0.1x', '::1', '1.2.3.4.5', '300.1.1.1'])('%j is not an address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});
