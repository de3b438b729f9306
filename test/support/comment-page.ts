/** A comment as the platform shows it: the Markdown that comments of this project use, with the platform's style. */

/** Of GitHub's own style sheet, as far as widths depend on it. */
const style = `body{margin:0;padding:16px;font:14px/1.5 -apple-system,system-ui,sans-serif;overflow-wrap:break-word}
ul{padding-left:2em}code{padding:.2em .4em;font:85% ui-monospace,monospace;white-space:break-spaces}`;

/** Headings, lists of two levels, emphasis, code, links and HTML. */
export function commentPage(markdown: string): string {
  let depth = 0;
  const lines = markdown.split('\n').map((line) => {
    const [, space, item] = /^( *)- (.*)$/.exec(line) ?? [];
    // A line of an item that is indented continues it.
    const wanted = item === undefined ? (/^ {2}/.test(line) ? depth : 0) : (space ?? '').length / 2 + 1;
    const lists = wanted > depth ? '<ul>'.repeat(wanted - depth) : '</ul>'.repeat(depth - wanted);
    depth = wanted;
    const [, marks, heading] = /^(#+) (.*)$/.exec(line) ?? [];
    if (item !== undefined) return `${lists}<li>${inline(item)}`;
    if (heading !== undefined) return `${lists}<h${marks?.length}>${inline(heading)}</h${marks?.length}>`;
    return `${lists}${/^<\/?(?:details|!--)/.test(line) ? line : `<p>${inline(line)}`}`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>${style}</style></head><body>${lines.join('\n')}</body></html>`;
}

function inline(text: string): string {
  return text
    .split(/(`[^`]+`)/)
    .map((part) => {
      if (/^`[^`]/.test(part))
        return `<code>${part.slice(1, -1).replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</code>`;
      return part
        .replace(/\[([^\]]+)\]\(([^)]+)\)/g, '<a href="$2">$1</a>')
        .replace(/\*\*([^*]+)\*\*/g, '<b>$1</b>')
        .replace(/\\([^a-z0-9])/gi, '$1');
    })
    .join('');
}
