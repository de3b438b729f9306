/** The table of other scanners' rules: it names controls that exist, and covers what checkov runs on the real stack. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { controls } from '../../../pipeline/evidence/catalogue/index.ts';
import { scannerRules } from '../../../pipeline/evidence/scanners.ts';
import { stackOf } from '../../stacks/stack.ts';

const run = promisify(execFile);
const missing = await run('checkov', ['--version']).then(
  () => undefined,
  () => 'needs checkov on the PATH: pip install checkov',
);

it('names controls that exist, or a reason', () => {
  const ids: string[] = controls.map(({ id }) => id);
  expect(scannerRules.length).toBeGreaterThan(50);
  for (const { id, heldBy } of scannerRules) {
    const named = typeof heldBy === 'string' ? (heldBy.match(/\b[A-Z]{3}-\d+\b/g) ?? []) : heldBy;
    expect(
      named.filter((one) => !ids.includes(one)),
      id,
    ).toEqual([]);
    expect(heldBy.length, id).toBeGreaterThan(0);
  }
});

/** `CKV_AZURE_33, 35, CKV2_AZURE_1, 8` names CKV_AZURE_33, CKV_AZURE_35, CKV2_AZURE_1 and CKV2_AZURE_8. */
function idsIn(text: string): readonly string[] {
  let prefix = '';
  return text.split(', ').map((part) => {
    prefix = /^(CKV2?_AZURE_)/.exec(part)?.[1] ?? prefix;
    return part.startsWith('CKV') ? part : `${prefix}${part}`;
  });
}

it('has every rule that checkov runs on production', async (context) => {
  context.skip(missing !== undefined, missing);
  const folder = mkdtempSync(join(tmpdir(), 'llama-scanners-'));
  try {
    writeFileSync(join(folder, 'cdk.tf.json'), stackOf('production').text);
    const args = ['--directory', '.', '--framework', 'terraform_json', '--skip-download', '--output', 'json'];
    const { stdout } = await run('checkov', args, { cwd: folder, maxBuffer: 1 << 28 });
    const { results } = JSON.parse(stdout);
    const ran: readonly { readonly check_id: string }[] = [
      ...results.passed_checks,
      ...results.failed_checks,
    ];
    const known = scannerRules.filter(({ scanner }) => scanner === 'checkov').flatMap(({ id }) => idsIn(id));
    expect(ran.length).toBeGreaterThan(10);
    expect([...new Set(ran.map(({ check_id }) => check_id))].filter((id) => !known.includes(id))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 120_000);
