/**
 * Reads the YAML that the pipelines of this project use: block mappings and sequences, plain and single-quoted scalars, flow
 * sequences of scalars, literal blocks, comments. Anything else is an error, so that no line is read wrongly.
 */
export type Yaml = string | Yaml[] | { [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
  readonly number: number;
}

/** @throws Error with the line that it cannot read */
export function readYaml(text: string): Yaml {
  const lines = text.split('\n').map((one, index): Line => {
    const content = one.trimStart();
    return { indent: one.length - content.length, text: content.trimEnd(), number: index + 1 };
  });
  const reader = new Reader(lines);
  const value = reader.block(0);
  reader.expectEnd();
  return value;
}

class Reader {
  #at = 0;
  constructor(readonly lines: readonly Line[]) {}

  #next(): Line | undefined {
    for (let line = this.lines[this.#at]; line; line = this.lines[++this.#at])
      if (line.text !== '' && !line.text.startsWith('#')) return line;
    return undefined;
  }

  expectEnd(): void {
    const line = this.#next();
    if (line) throw unreadable(line);
  }

  block(indent: number): Yaml {
    const first = this.#next();
    if (!first || first.indent < indent) return '';
    return first.text.startsWith('- ') ? this.#sequence(first.indent) : this.#mapping(first.indent);
  }

  #sequence(indent: number): Yaml[] {
    const items: Yaml[] = [];
    for (
      let line = this.#next();
      line?.indent === indent && line.text.startsWith('- ');
      line = this.#next()
    ) {
      const rest = line.text.slice(2);
      if (/^[\w-]+:(?: |$)/.test(rest)) {
        // The first key of a mapping stands on the line of its dash.
        (this.lines as Line[])[this.#at] = { ...line, indent: indent + 2, text: rest };
        items.push(this.#mapping(indent + 2));
      } else {
        this.#at += 1;
        items.push(scalar(rest, line));
      }
    }
    return items;
  }

  #mapping(indent: number): { [key: string]: Yaml } {
    const found: { [key: string]: Yaml } = {};
    for (let line = this.#next(); line?.indent === indent; line = this.#next()) {
      const [, key, rest = ''] = /^([\w.-]+):(?: +(.*))?$/.exec(line.text) ?? [];
      if (key === undefined || Object.hasOwn(found, key)) throw unreadable(line);
      this.#at += 1;
      const value = rest.replace(/(?:^|\s)#.*$/, '').trim();
      if (value === '|') found[key] = this.#literal(indent);
      else if (value !== '') found[key] = scalar(value, line);
      else {
        const inner = this.#next();
        const isNested =
          inner && (inner.indent > indent || (inner.indent === indent && inner.text.startsWith('- ')));
        found[key] = isNested ? this.block(inner.indent) : '';
      }
    }
    const line = this.#next();
    if (line && line.indent > indent) throw unreadable(line);
    return found;
  }

  #literal(indent: number): string {
    const texts: string[] = [];
    for (
      let line = this.lines[this.#at];
      line && (line.text === '' || line.indent > indent);
      line = this.lines[++this.#at]
    )
      texts.push(line.text);
    return texts.join('\n').trim();
  }
}

function scalar(text: string, line: Line): Yaml {
  if (text === '{}') return {};
  const list = /^\[(.*)\]$/.exec(text);
  if (list) return (list[1] ?? '').split(',').map((one) => scalar(one.trim(), line));
  const quoted = /^'([^']*)'$/.exec(text);
  if (quoted) return quoted[1] ?? '';
  if (/^["'&*!|>%@`[{]/.test(text) || / #|: /.test(text)) throw unreadable(line);
  return text;
}

const unreadable = ({ number, text }: Line) =>
  new Error(`line ${number} is not of the YAML that pipelines use: ${text}`);
