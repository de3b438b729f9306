/** Planted secrets, and the search for every form in which they could be recorded. */

export interface Sighting {
  readonly canary: string;
  readonly form: string;
  readonly place: string;
}

export class Canaries {
  readonly #forms: { readonly canary: string; readonly form: string; readonly text: string }[] = [];
  readonly #names = new Set<string>();

  /** @param value at least 12 bytes, because a shorter one could match by chance */
  plant(canary: string, value: string | Buffer): void {
    if (value.length < 12) throw new Error(`canary ${canary} is so short that it could match by chance`);
    if (this.#names.has(canary)) return;
    this.#names.add(canary);
    const bytes = Buffer.from(value as string);
    const add = (form: string, text: string) => this.#forms.push({ canary, form, text });
    if (typeof value === 'string') {
      add('raw', value);
      const escaped = JSON.stringify(value).slice(1, -1);
      if (escaped !== value) add('escaped in JSON', escaped);
      const percent = encodeURIComponent(value);
      if (percent !== value) add('percent-encoded', percent);
    } else {
      add('raw', bytes.toString('latin1'));
    }
    add('hex', bytes.toString('hex'));
    add('upper-case hex', bytes.toString('hex').toUpperCase());
    // The encoding depends on the position modulo 3; the first and last group depend on the neighbouring bytes.
    for (const before of [0, 1, 2]) {
      const inside = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
      const text = inside.slice(before === 0 ? 0 : 4, Math.floor((bytes.length + before) / 3) * 4);
      add(`base64 behind ${before}`, text);
      const url = text.replaceAll('+', '-').replaceAll('/', '_');
      if (url !== text) add(`base64url behind ${before}`, url);
    }
  }

  get size(): number {
    return this.#names.size;
  }

  /** Every canary in a text. Bytes must be decoded as latin1. */
  in(place: string, text: string): Sighting[] {
    return this.#forms
      .filter((one) => text.includes(one.text))
      .map(({ canary, form }) => ({ canary, form, place }));
  }
}
