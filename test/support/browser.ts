/** Debian's Chromium, with which tests look at pages. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const programs = ['chromium', 'chromium-browser', 'google-chrome'];

export const browser = programs.find((program) => spawnSync(program, ['--version']).status === 0);

/** Widths of a phone, a tablet and a laptop. */
export const widths = [320, 360, 768, 1280] as const;

/** Width in pixels of a page's content at each width of the window; more than the window means sideways scrolling. */
export function contentWidths(html: string): readonly number[] {
  const folder = mkdtempSync(join(tmpdir(), 'llama-page-'));
  try {
    const file = join(folder, 'pages.html');
    writeFileSync(file, harness(html));
    const { stdout } = spawnSync(
      browser ?? '',
      [
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        `--user-data-dir=${folder}`,
        '--dump-dom',
        `file://${file}`,
      ],
      { encoding: 'utf8', timeout: 60_000, maxBuffer: 2 ** 28 },
    );
    const measured = /<title>([\d,]+)<\/title>/.exec(stdout)?.[1];
    if (measured === undefined) throw new Error(`the browser measured nothing: ${stdout.slice(0, 200)}`);
    return measured.split(',').map(Number);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A page with the same page in frames of all widths, whose title becomes the widths of their content. */
function harness(html: string): string {
  const quoted = html.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const frames = widths.map(
    (width) => `<iframe style="width:${width}px;height:900px;border:0" srcdoc="${quoted}"></iframe>`,
  );
  return `<!doctype html><title>none</title>${frames.join('')}<script>
addEventListener('load', () => {
  for (const frame of document.querySelectorAll('iframe'))
    for (const part of frame.contentDocument.querySelectorAll('details')) part.open = true;
  document.title = [...document.querySelectorAll('iframe')]
    .map((frame) => frame.contentDocument.documentElement.scrollWidth).join(',');
});
</script>`;
}
