/** Values that a deployment knows and must leave nowhere, and the search for them. */
import { inflateRawSync } from 'node:zlib';

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

  /** Looks for every secret, as it is and as JSON, URLs, base64 and compressed archives (Terraform's plans) hold it. */
  search(where: string, content: string | Buffer): Leak[] {
    const bytes = Buffer.from(content);
    const texts = [bytes, ...unpacked(bytes)];
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

/**
 * The files inside a zip archive; nothing for anything else.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3: the central directory tells where each begins.
 */
function unpacked(archive: Buffer): Buffer[] {
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
