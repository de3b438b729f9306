// Duration: 40 s
/** `llama-db preview`: real previews of changes in a copy of this checkout. */

import { afterEach, describe, expect, it } from 'vitest';
import { type EnvironmentName, environments } from '../../environments/index.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import type { Preview } from '../../rehearsal/preview/result.ts';
import { nextSize } from '../../rehearsal/sandbox/variants.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { type CheckoutCopy, checkoutCopy } from '../support/checkout-copy.ts';
import { includesLong, takesMinutes } from '../support/extent.ts';
import { ownNearest, ownWith, whyNoOwn } from '../support/own.ts';

const missing = await whyNoTerraform();
const cheapest = ownNearest('noReplica', 'burstable');

const open: CheckoutCopy[] = [];
afterEach(() => {
  for (const copy of open.splice(0)) copy.drop();
});

function copied(): CheckoutCopy {
  const copy = checkoutCopy();
  open.push(copy);
  return copy;
}

interface Change {
  readonly environment?: EnvironmentName;
  readonly settings?: (input: EnvironmentInput) => void;
  readonly files?: Readonly<Record<string, string>>;
  readonly rows?: number;
}

/** Commits the settings as they are, changes them, and previews the change. */
async function previewed({ environment = cheapest, settings, files = {}, rows }: Change) {
  const copy = copied();
  copy.set(environments.inputOf(environment));
  copy.commit();
  const input = environments.inputOf(environment);
  settings?.(input);
  copy.set(input);
  for (const [file, content] of Object.entries(files)) copy.write(file, content);
  const size = rows === undefined ? [] : ['--rows', String(rows)];
  const ended = await copy.run('preview', environment, '--from', 'HEAD', '--json', ...size);
  const result: Preview & { readonly ok: boolean } = JSON.parse(ended.stdout || '{}');
  if (result.outcome === undefined) throw new Error(ended.output);
  expect(result.ok).toBe(ended.exitCode === 0);
  const [writer] = result.clients;
  if (!writer) throw new Error('a preview has a client that writes');
  expect(writer.statements).toBeGreaterThan(20);
  return { result, writer, status: ended.exitCode };
}

const restarts = ({ servers }: Preview) => servers.reduce((sum, one) => sum + one.restarts, 0);

describe('a preview', { timeout: 900_000 }, () => {
  it('counts the restart of a static parameter, and that clients come back', async ({ skip }) => {
    skip(missing !== undefined, missing);
    const { result, writer, status } = await previewed({
      settings: ({ server }) => {
        server.parameters = { ...server.parameters, track_activity_query_size: '2048' };
      },
    });
    expect(result).toMatchObject({ outcome: 'deployed', secondPlan: [], verification: { appeared: {} } });
    expect(restarts(result)).toBe(1);
    expect(writer.outages).toMatchObject([{ isOver: true }]);
    expect(Object.keys(writer.refused)).toHaveLength(1);
    expect(status).toBe(0);
  });

  it('sees no interruption by an online change', async ({ skip }) => {
    skip(missing !== undefined, missing);
    skip(!includesLong, takesMinutes);
    const { result, writer, status } = await previewed({
      settings: ({ server }) => {
        server.parameters = { ...server.parameters, work_mem: '8192' };
      },
    });
    expect(result).toMatchObject({ outcome: 'deployed', secondPlan: [], servers: [] });
    expect(writer).toMatchObject({ outages: [], refused: {} });
    expect(status).toBe(0);
  });

  it('counts the restarts of another size', async ({ skip }) => {
    skip(missing !== undefined, missing);
    skip(!includesLong, takesMinutes);
    const { result, writer } = await previewed({
      settings: ({ server }) => {
        server.sku = nextSize(server.sku).name;
      },
    });
    expect(result).toMatchObject({ outcome: 'deployed', secondPlan: [] });
    expect(restarts(result)).toBeGreaterThan(0);
    expect(writer.outages).toHaveLength(restarts(result));
  });

  it('reports how long a migration held ACCESS EXCLUSIVE on a filled table, and who waited', async ({
    skip,
  }) => {
    skip(missing !== undefined, missing);
    skip(!includesLong, takesMinutes);
    const file = '9000_rewritten.sql';
    // A fast machine rewrites 50,000 rows between two statements of the client.
    const { result, writer } = await previewed({
      rows: 50_000,
      files: {
        [`migrations/${file}`]:
          '-- Up Migration\nALTER TABLE llama.storage_records ADD COLUMN rewritten uuid DEFAULT pg_catalog.gen_random_uuid();\nSELECT pg_catalog.pg_sleep(1);\n-- Down Migration\nALTER TABLE llama.storage_records DROP COLUMN rewritten;\n',
      },
    });
    expect(result.filled).toContainEqual({ table: 'llama.storage_records', rows: 50_000 });
    expect(result.migrations).toMatchObject([{ file, isApplied: true }]);
    const held = result.migrations[0]?.locks.find(
      ({ on, mode }) => on === 'llama.storage_records' && mode === 'ACCESS EXCLUSIVE',
    );
    expect(held?.milliseconds).toBeGreaterThan(900);
    expect(held?.waiting).toBeGreaterThan(0);
    expect(writer.waits.length).toBeGreaterThan(0);
    expect(writer.outages).toEqual([]);
  });

  it('counts the statements of the application that a migration refuses', async ({ skip }) => {
    skip(missing !== undefined, missing);
    skip(!includesLong, takesMinutes);
    const { writer } = await previewed({
      rows: 100,
      files: {
        'migrations/9000_renamed.sql':
          '-- Up Migration\nALTER TABLE llama.model_metrics RENAME COLUMN model_version TO version_of_model;\n-- Down Migration\nALTER TABLE llama.model_metrics RENAME COLUMN version_of_model TO model_version;\n',
      },
    });
    expect(Object.keys(writer.refused).join()).toContain('42703 undefined_column (read llama.model_metrics)');
    expect(writer.outages).toEqual([]);
  });

  it('shows that a replacement is refused before anything changes', async ({ skip }) => {
    skip(missing !== undefined, missing);
    skip(!includesLong, takesMinutes);
    const environment = ownWith('protected', 'noReplica');
    if (environment === undefined) return skip(whyNoOwn('protected', 'noReplica'));
    const { result, writer, status } = await previewed({
      environment,
      settings: ({ server }) => {
        server.name += '-new';
      },
    });
    expect(result).toMatchObject({ outcome: 'refused', refusal: { changes: 0 } });
    expect(result.refusal?.reason).toContain('prevent_destroy');
    expect(writer).toMatchObject({ outages: [], refused: {} });
    expect(status).toBe(1);
  });

  it('of an unknown ref exits 2 with one line, before anything starts', async () => {
    const copy = copied();
    copy.commit();
    const ended = await copy.run('preview', cheapest, '--from', 'nowhere');
    expect(ended.exitCode).toBe(missing === undefined ? 2 : 3);
    expect(ended.stderr.trim().split('\n')).toHaveLength(1);
    if (missing === undefined) expect(ended.stderr).toContain('[preview/ref-unknown]');
  });

  it('of an environment that is new says so', async ({ skip }) => {
    skip(missing !== undefined, missing);
    const copy = copied();
    copy.write('environments/list.ts', 'export const inputs = {};\n');
    copy.commit();
    // The list as it is in this checkout.
    copy.write('environments/list.ts', await listOfCheckout());
    const ended = await copy.run('preview', cheapest, '--from', 'HEAD');
    expect(ended.stderr).toContain('[preview/environment-is-new]');
  });
});

async function listOfCheckout(): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  return readFile(new URL('../../environments/list.ts', import.meta.url), 'utf8');
}
