/** Texts of others in Markdown that a code host renders: no markup, no mention, no link, no character that is not seen. */

/** Controls, marks of direction, and characters without a width. */
const unseen = /[\p{Cc}\p{Cf}]/gu;

const oneLine = (words: string) => words.replace(/\s+/g, ' ').replace(unseen, '');

/** Text outside a code span. A code host looks for mentions and addresses after it has decoded entities, so they are broken. */
export function markdownText(words: string): string {
  return oneLine(words)
    .replace(/[\\`*_[\]#|~]/g, String.raw`\$&`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('@', '@&#8203;')
    .replaceAll('\\#', '\\#&#8203;')
    .replaceAll('://', ':&#8203;//')
    .replace(/www\./gi, '$&&#8203;');
}

/** A code span, with as many backticks around it as its content needs. */
export function markdownCode(words: string, longest = 400): string {
  const content = oneLine(words).slice(0, longest);
  const ticks = Math.max(0, ...[...content.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(ticks + 1);
  const space = content === '' || /^`|`$/.test(content) ? ' ' : '';
  return `${fence}${space}${content}${space}${fence}`;
}
