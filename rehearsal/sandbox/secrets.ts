/** Secret values of a deployment, and the search for them in everything that it leaves. */
import { gunzipSync, inflateRawSync } from 'node:zlib';

/** A secret that was found in a place where it must not be. */
export interface Leak {
  readonly what: string;
  readonly where: string;
}

/** A shorter value would match by chance. In characters. */
const shortestSecret = 8;

/** One encoding of a secret. */
interface Spelling {
  readonly what: string;
  readonly bytes: Buffer;
}

export class Secrets {
  readonly #values = new Map<string, string>();
  readonly #spellings = new Map<number, Spelling[]>();
  readonly #filter = new Uint8Array(filterSize);

  /** @param what its name in a finding: `the client secret` */
  add(what: string, value: string): void {
    if (value.length < shortestSecret) throw new Error(`${what} is too short to be searched for`);
    if (this.#values.has(value)) return;
    this.#values.set(value, what);
    for (const text of spellings(value)) {
      const bytes = Buffer.from(text);
      const end = bytes.readInt32BE(bytes.length - 4);
      this.#filter[slotOf(end)] = 1;
      const others = this.#spellings.get(end) ?? [];
      this.#spellings.set(end, [...others, { what, bytes }]);
    }
  }

  get count(): number {
    return this.#values.size;
  }

  /**
   * Searches for every secret: as plain text and as JSON, URLs and base64 encode it. Zip archives (Terraform's plans),
   * gzip, and base64-encoded gzip are unpacked first, up to four levels deep.
   */
  search(where: string, content: string | Buffer): Leak[] {
    const found = new Set<string>();
    for (const bytes of unfolded(Buffer.from(content))) this.#findIn(bytes, found);
    return [...found].map((what) => ({ what, where }));
  }

  /** Compares the last four bytes of all spellings at once, because a long rehearsal has thousands of tokens. */
  #findIn(bytes: Buffer, found: Set<string>): void {
    let lastFour = 0;
    for (let next = 0; next < bytes.length; ) {
      lastFour = (lastFour << 8) | (bytes[next] ?? 0);
      next += 1;
      if (this.#filter[slotOf(lastFour)] === 0) continue;
      for (const { what, bytes: spelling } of this.#spellings.get(lastFour) ?? []) {
        const start = next - spelling.length;
        if (start >= 0 && spelling.equals(bytes.subarray(start, next))) found.add(what);
      }
    }
  }
}

/** Most positions of a text are no end of a spelling; a byte per slot answers that faster than a map. */
const filterSize = 2 ** 20;

/** Multiplicative hashing: D. Knuth, The Art of Computer Programming, volume 3, 6.4. */
function slotOf(lastFour: number): number {
  return Math.imul(lastFour, 0x9e3779b1) >>> 12;
}

function spellings(value: string): string[] {
  return [
    ...new Set([
      value,
      JSON.stringify(value).slice(1, -1),
      encodeURIComponent(value),
      // Its position modulo 3 decides its base64 spelling. The ends depend on the neighbours and are dropped.
      ...[0, 1, 2].map((shift) => {
        const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(value)]).toString('base64');
        return encoded.slice(shift === 0 ? 0 : 4, -4);
      }),
    ]),
  ];
}

/** Levels of archives within archives that are searched. */
const deepest = 4;

/** The bytes themselves, and everything packed in them. */
function unfolded(bytes: Buffer, depth = 0): Buffer[] {
  if (depth === deepest) return [bytes];
  const packed = [...unzipped(bytes), ...gunzipped(bytes), ...encodedGzip(bytes).flatMap(gunzipped)];
  return [bytes, ...packed.flatMap((inner) => unfolded(inner, depth + 1))];
}

/** Larger than anything a deployment writes; guards against decompression bombs. In bytes. */
const maxOutputLength = 256 * 1024 * 1024;

/** The content of a gzip file; empty for anything else. https://www.rfc-editor.org/rfc/rfc1952, 2.3.1 */
function gunzipped(bytes: Buffer): Buffer[] {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8) return [];
  try {
    return [gunzipSync(bytes, { maxOutputLength })];
  } catch {
    return []; // The magic number was a coincidence.
  }
}

/** Base64-encoded gzip, as Terraform's base64gzip() writes it. Its first three bytes are constant. */
function encodedGzip(bytes: Buffer): Buffer[] {
  if (!bytes.includes('H4sI')) return [];
  return (bytes.toString('latin1').match(/H4sI[A-Za-z0-9+/]+={0,2}/g) ?? []).map((text) =>
    Buffer.from(text, 'base64'),
  );
}

/**
 * The files inside a zip archive; empty for anything else.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3: the central directory holds the offset of each.
 */
function unzipped(archive: Buffer): Buffer[] {
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || archive.readUInt32LE(0) !== 0x04034b50) return [];
  const files: Buffer[] = [];
  let entry = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left--) {
    const method = archive.readUInt16LE(entry + 10);
    const size = archive.readUInt32LE(entry + 20);
    const header = archive.readUInt32LE(entry + 42);
    const begin = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
    const data = archive.subarray(begin, begin + size);
    files.push(method === 0 ? data : inflateRawSync(data));
    entry +=
      46 +
      archive.readUInt16LE(entry + 28) +
      archive.readUInt16LE(entry + 30) +
      archive.readUInt16LE(entry + 32);
  }
  return files;
}
