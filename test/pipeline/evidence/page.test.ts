/** The page of a pack in a real browser: it runs its filters, requests nothing, and fits a phone. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controls } from '../../../pipeline/evidence/catalogue/index.ts';
import { complete } from './fixture.ts';

const run = promisify(execFile);
const missing = await run('chromium', ['--version']).then(
  () => undefined,
  () => 'needs chromium on the PATH',
);

let folder: string;
let page: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'llama-page-'));
  page = complete('production').files.get('index.html') ?? '';
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

/** The document after its scripts, and after `more`, which the page's policy allows in this copy only. */
async function opened(width: number, more = ''): Promise<string> {
  const file = join(folder, `page-${width}.html`);
  const policy = /<meta http-equiv="Content-Security-Policy"[^>]*>\n/;
  const copy =
    more === '' ? page : page.replace(policy, '').replace('</body>', `<script>${more}</script></body>`);
  writeFileSync(file, copy);
  const args = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${join(folder, 'profile')}`,
  ];
  const { stdout } = await run(
    'chromium',
    [...args, `--window-size=${width},900`, '--dump-dom', `file://${file}`],
    {
      maxBuffer: 1 << 28,
    },
  );
  return stdout;
}

describe('the page', () => {
  it('needs nothing else', () => {
    expect(page).not.toMatch(/<(?:link|img|iframe|object)\b|\bsrc=|@import|url\(/);
    expect(page).toContain("default-src 'none'");
    for (const { id } of controls) expect(page).toContain(`<article id="${id}"`);
  });

  it('runs its filters under its own policy', async (context) => {
    context.skip(missing !== undefined, missing);
    expect(await opened(1200)).toContain(`${controls.length} of ${controls.length} controls shown`);
  }, 60_000);

  it('filters by words, framework and verdict, and fits a phone', async (context) => {
    context.skip(missing !== undefined, missing);
    const shown = '[...document.querySelectorAll("article:not([hidden])")].map((one) => one.id).join(" ")';
    const dom = await opened(
      390,
      `const say = (name, text) => { const at = document.createElement('p'); at.textContent = name + '=' + text + ';'; document.body.append(at); };
       framework.value = 'cis-database'; apply(); say('database', ${shown});
       query.value = 'tls 1.2'; apply(); say('words', ${shown});
       query.value = ''; framework.value = '';
       for (const one of form.querySelectorAll('[name=verdict]')) one.checked = one.value === 'violated';
       apply(); say('violated', ${shown});
       say('overflow', document.documentElement.scrollWidth > innerWidth);`,
    );
    const said = (name: string) => new RegExp(`<p>${name}=([^;]*);`).exec(dom)?.[1];
    const database = controls.filter(({ mapped }) => mapped['cis-database']).map(({ id }) => id);
    expect(said('database')?.split(' ')).toEqual(database);
    expect(said('words')).toBe('CRY-1 CRY-2');
    expect(said('violated')).toBe('CRY-3');
    expect(said('overflow')).toBe('false');
  }, 60_000);
});
