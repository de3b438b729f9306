/** Values that a deployment knows and must leave nowhere, and the search for them. */
import { gunzipSync, inflateRawSync } from 'node:zlib';

/** A secret found where it must not be. */
export interface Leak {
  readonly what: string;
  readonly where: string;
}

/** Shorter ones would be found by chance. */
const shortest = 8;

export class Secrets {
  readonly #values = new Map<string, string>();

  /** @param what how a finding calls it: `the client secret` */
  add(what: string, value: string): void {
    if (value.length < shortest) throw new Error(`${what} is too short to be searched for`);
    this.#values.set(value, what);
  }

  get count(): number {
    return this.#values.size;
  }

  /**
   * Looks for every secret, as it is and as JSON, URLs and base64 hold it, also inside zip archives (Terraform's plans),
   * gzip (archives, bodies) and what `base64gzip` makes of a text, and inside of these once more.
   */
  search(where: string, content: string | Buffer): Leak[] {
    const texts = unfolded(Buffer.from(content));
    const found = new Set<string>();
    for (const [value, what] of this.#values)
      if (spellings(value).some((spelling) => texts.some((text) => text.includes(spelling)))) found.add(what);
    return [...found].map((what) => ({ what, where }));
  }
}

function spellings(value: string): string[] {
  return [
    ...new Set([
      value,
      JSON.stringify(value).slice(1, -1),
      encodeURIComponent(value),
      // Where it begins within the encoded text decides how it is spelled: three ways, of which the ends are dropped.
      ...[0, 1, 2].map((shift) => {
        const encoded = Buffer.concat([Buffer.alloc(shift), Buffer.from(value)]).toString('base64');
        return encoded.slice(shift === 0 ? 0 : 4, -4);
      }),
    ]),
  ];
}

/** How often something packed may be packed once more. */
const deepest = 4;

/** What is there, and what is packed in it. */
function unfolded(bytes: Buffer, depth = 0): Buffer[] {
  if (depth === deepest) return [bytes];
  const packed = [...unzipped(bytes), ...gunzipped(bytes), ...encodedGzip(bytes).flatMap(gunzipped)];
  return [bytes, ...packed.flatMap((inner) => unfolded(inner, depth + 1))];
}

/** Larger than anything a deployment writes; more is somebody's bomb. In bytes. */
const maxOutputLength = 256 * 1024 * 1024;

/** The content of a gzip file; nothing for anything else. https://www.rfc-editor.org/rfc/rfc1952, 2.3.1 */
function gunzipped(bytes: Buffer): Buffer[] {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8) return [];
  try {
    return [gunzipSync(bytes, { maxOutputLength })];
  } catch {
    return []; // It only begins like one.
  }
}

/** Gzip in base64, as Terraform's base64gzip() puts it into a document: its first three bytes are always the same. */
function encodedGzip(bytes: Buffer): Buffer[] {
  if (!bytes.includes('H4sI')) return [];
  return (bytes.toString('latin1').match(/H4sI[A-Za-z0-9+/]+={0,2}/g) ?? []).map((text) =>
    Buffer.from(text, 'base64'),
  );
}

/**
 * The files inside a zip archive; nothing for anything else.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3: the central directory tells where each begins.
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
