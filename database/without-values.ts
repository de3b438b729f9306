/** Characters of a statement that a message shows. */
const shown = 200;

/**
 * Literals, comments and numbers of a statement, and everything from an unfinished one on: pg_stat_activity cuts statements. A
 * backslash may escape a quote (`E'…'`, standard_conforming_strings), so after one the rest of the text is not trusted.
 */
const values =
  /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|(?:\b[a-z]&?)?'(?:[^'\\]|'')*(?:'|\\[\s\S]*$|$)|\$([a-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?(?:\$\1\$|$)|"(?:[^"]|"")*(?:"|$)|(?<![\w$"])[\d.]*\d[\w.]*/giu;

/** A statement without its literals and comments, on one line and cut: `LOCK TABLE llama.storage_records`. */
export function withoutValues(sql: string): string {
  const clean = sql
    .replace(values, (found) => {
      if (found.startsWith('--') || found.startsWith('/*')) return ' ';
      return found.startsWith('"') && found.endsWith('"') && found.length > 1 ? found : '?';
    })
    // Control characters would reach the terminal.
    .replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim();
  return clean.length > shown ? `${clean.slice(0, shown)}…` : clean;
}
