import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  lengthPrefixed,
  open,
  type Place,
  parse,
  type Sealed,
  seal,
  toBytes,
  toText,
} from '../../../runtime/encryption/ciphertext.ts';

const key = randomBytes(32);
const keyId = randomUUID();
const place: Place = {
  tenant: 'alpha',
  table: 'storage_records',
  column: 'mapped_data',
  record: randomUUID(),
};
const bytes = Buffer.from('Grüße, 密文 and more');
const refused = { problem: 'refused' };

describe('an encrypted value', () => {
  it('is decrypted from text and from bytes to the same value', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (plaintext) => {
        const sealed = seal(key, keyId, place, plaintext);
        for (const form of [toText(sealed), toBytes(sealed)])
          expect(open(key, place, parse(form)).equals(Buffer.from(plaintext))).toBe(true);
      }),
    );
  });

  it('of version 1 never changes its form', () => {
    const fixed = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
    const text = 'gcm1:11111111-2222-3333-4444-555555555555:AAECAwQFBgcICQoLJmC1f6CDjHNVeFVVbdfnuL0ZaZ6QsQ';
    const where = { tenant: 't', table: 'storage_records', column: 'mapped_data', record: 'r' };
    expect(open(fixed, where, parse(text)).toString()).toBe('abcdef');
  });

  it('reveals the id of its key and the length of its content, and nothing else', () => {
    const text = toText(seal(key, keyId, place, bytes));
    expect(text.startsWith(`gcm1:${keyId}:`)).toBe(true);
    expect(Buffer.from(text.split(':')[2] ?? '', 'base64url')).toHaveLength(12 + bytes.length + 16);
    expect(toBytes(seal(key, keyId, place, bytes))).toHaveLength(1 + 16 + 12 + bytes.length + 16);
  });

  it('never reuses a nonce', () => {
    const nonces = new Set(
      Array.from({ length: 10_000 }, () => seal(key, keyId, place, bytes).nonce.toString('hex')),
    );
    expect(nonces.size).toBe(10_000);
  });

  it.each(['tenant', 'table', 'column', 'record'] as const)('is refused under another %s', (part) => {
    const sealed = seal(key, keyId, place, bytes);
    expect(() => open(key, { ...place, [part]: `${place[part]}2` }, sealed)).toThrowError(
      expect.objectContaining(refused),
    );
  });

  it("is refused with another key, or under another key's id", () => {
    const sealed = seal(key, keyId, place, bytes);
    expect(() => open(randomBytes(32), place, sealed)).toThrowError(expect.objectContaining(refused));
    expect(() => open(key, place, { ...sealed, keyId: randomUUID() })).toThrowError(
      expect.objectContaining(refused),
    );
  });

  it('is refused with any bit flipped', () => {
    const whole = toBytes(seal(key, keyId, place, bytes));
    for (let at = 1; at < whole.length; at += 1)
      for (const bit of [1, 128]) {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect(() => open(key, place, parse(changed)), `byte ${at}`).toThrowError(
          expect.objectContaining(refused),
        );
      }
  });

  it('is refused with a truncated tag, which is easier to guess', () => {
    const sealed = seal(key, keyId, place, bytes);
    for (const length of [4, 8, 12, 15]) {
      const cut: Sealed = { ...sealed, tag: sealed.tag.subarray(0, length) };
      expect(() => open(key, place, cut)).toThrowError();
    }
    // If the whole value is truncated, the last bytes of the body become part of the tag.
    const text = toText(sealed);
    expect(() => open(key, place, parse(text.slice(0, -6)))).toThrowError(expect.objectContaining(refused));
  });

  it.each([
    '',
    'plain text',
    'gcm1:',
    `gcm1:${keyId}:AAAA`,
    `gcm2:${keyId}:${'A'.repeat(60)}`,
    `gcm1:${keyId.toUpperCase()}:${'A'.repeat(60)}`,
    `gcm1:${keyId}:${'A'.repeat(60)}\n`,
    `pgp1:${keyId}:${'A'.repeat(60)}`,
    Buffer.alloc(0),
    Buffer.from([2, ...randomBytes(80)]),
    Buffer.from([1, ...randomBytes(43)]),
  ])('is distinguished from other text and bytes (row %#), which the error does not quote', (value) => {
    expect(() => parse(value)).toThrowError(expect.objectContaining({ problem: 'malformed' }));
    try {
      parse(value);
    } catch (error) {
      if (typeof value === 'string' && value.length > 5) expect(String(error)).not.toContain(value);
    }
  });
});

it('joins different lists of parts to different bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), (left, right) => {
      const same = JSON.stringify(left) === JSON.stringify(right);
      expect(lengthPrefixed(...left).equals(lengthPrefixed(...right))).toBe(same);
    }),
  );
  expect(lengthPrefixed('ab', 'c')).not.toEqual(lengthPrefixed('a', 'bc'));
});
