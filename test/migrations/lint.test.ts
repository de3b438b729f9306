import { describe, expect, it } from 'vitest';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { lint } from '../../database/migrator/lint/lint.ts';
import { renderLint } from '../../database/migrator/lint/report.ts';
import { selectFiles } from '../../database/migrator/lint/select.ts';
import { migrations } from './apply.ts';

describe("the project's own migrations", () => {
  it('pass the lint, every allowance with its reason, and nothing in them unseen', async () => {
    const result = await lint(selectFiles([], migrationsDirectory));
    expect(result.files).toHaveLength(migrations.length);
    expect(result.findings, renderLint(result, 'text', false)).toEqual([]);
    expect(result.unseen).toEqual([]);
    for (const { reason } of result.allowed) expect(reason.length).toBeGreaterThan(20);
  });
});
