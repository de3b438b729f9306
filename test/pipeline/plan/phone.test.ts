/** The page fits a phone in a real browser. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { guard } from '../../../pipeline/plan/guard.ts';
import { renderHtml } from '../../../pipeline/plan/report/html.ts';
import { xml } from '../../../verification/report/junit.ts';

const browser = ['chromium', 'google-chrome'].find((name) => spawnSync(name, ['--version']).status === 0);
const width = 390;

it('is no wider than a phone', async ({ skip }) => {
  if (browser === undefined) return skip('needs chromium or google-chrome on the PATH');
  const name = 'restart';
  const text = readFileSync(join(import.meta.dirname, 'recorded', `${name}.json`), 'utf8');
  const page = renderHtml(
    guard(text, { environment: 'production', isProtected: true, waivers: [], now: new Date(0) }),
  );
  const folder = mkdtempSync(join(tmpdir(), 'llama-phone-'));
  try {
    const file = join(folder, 'frame.html');
    const measure =
      'const d = f.contentDocument.documentElement; document.title = d.scrollWidth + " " + d.scrollHeight';
    writeFileSync(
      file,
      `<!doctype html><iframe id="f" width="${width}" height="800" style="border:0" srcdoc="${xml(page)}" onload="${xml(measure)}"></iframe>`,
    );
    const options = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      `--user-data-dir=${folder}/profile`,
      '--virtual-time-budget=3000',
      '--dump-dom',
    ];
    const { stdout } = await promisify(execFile)(browser, [...options, `file://${file}`], {
      maxBuffer: 1 << 24,
    });
    const [, wide, high] = /<title>(\d+) (\d+)<\/title>/.exec(stdout) ?? [];
    expect(Number(wide)).toBeLessThanOrEqual(width);
    expect(Number(high)).toBeGreaterThan(400);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 90_000);
