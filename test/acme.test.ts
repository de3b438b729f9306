// Duration: 50 s
/** Another company's copy of the project works: nothing depends on the names of the environments that it came with. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { whyNoTerraform } from '../rehearsal/terraform/installation.ts';
import { proveAcme } from './proof/acme.ts';
import { makeAcme } from './support/acme.ts';
import { includesLong, takesMinutes } from './support/extent.ts';

const isComplete = process.env['LLAMA_REHEARSAL'] === 'complete';
const missing = await whyNoTerraform();
/** Names of the project that Acme came from. */
const foreign = /llama-mapper|comply-?ai|\b(?:development|staging|production)\b/gi;

let folder = '';
let names: readonly string[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'acme-'));
  names = makeAcme(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a program of Acme's. @returns its exit status and all that it printed */
async function acme(...parameters: readonly string[]) {
  const { CDKTF_OUTDIR: _, VITEST: __, ...environment } = process.env;
  const child = spawn(process.execPath, parameters, { cwd: folder, env: environment });
  let [stdout, printed] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    printed += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk;
  });
  const [status] = await once(child, 'close');
  return { status, stdout, printed };
}

const vitest = (...parameters: readonly string[]) =>
  acme('node_modules/vitest/vitest.mjs', 'run', '--reporter=dot', ...parameters);

describe.concurrent('Acme, with other environments, regions and names', () => {
  it('passes the type check', { timeout: 180_000 }, async ({ expect }) => {
    const info = join(folder, 'tsc.tsbuildinfo');
    const { status, printed } = await acme(
      'node_modules/typescript/bin/tsc',
      '--noEmit',
      '--tsBuildInfoFile',
      info,
    );
    expect(printed).toBe('');
    expect(status).toBe(0);
  });

  it('starts its last environment, and no stack has a name of the former project', {
    timeout: 180_000,
  }, async ({ expect }) => {
    const { status, stdout, printed } = await acme('commands/llama-db.mjs', 'start', '--json');
    expect(status, printed).toBe(0);
    const { stacks, outcome }: { stacks: { name: string; path: string }[]; outcome: string } =
      JSON.parse(stdout);
    expect(outcome).toBe('verified');
    expect(stacks.map(({ name }) => name)).toEqual(names);
    for (const { path } of stacks)
      expect(readFileSync(join(folder, path), 'utf8').match(foreign) ?? [], path).toEqual([]);
  });

  it('has its own environments in the help of every command and in the list of scenarios', async ({
    expect,
  }) => {
    const { stdout } = await acme('commands/llama-db.mjs', '--help');
    const commands = [...stdout.matchAll(/^ {2}([a-z][a-z-]*) /gm)].flatMap(([, name = '']) =>
      name === 'help' ? [] : [name],
    );
    expect(commands.length).toBeGreaterThan(15);
    for (let from = 0; from < commands.length; from += 4)
      await Promise.all(
        commands.slice(from, from + 4).map(async (command) => {
          const { status, printed } = await acme('commands/llama-db.mjs', command, '--help');
          expect(status).toBe(0);
          // `import --from staging` is a database beside the target.
          if (command !== 'import') expect(printed.match(foreign) ?? [], command).toEqual([]);
        }),
      );
    const { printed } = await acme('commands/llama-db.mjs', 'rehearse', '--list');
    for (const line of printed
      .trim()
      .split('\n')
      .filter((one) => !one.startsWith(' ')))
      expect(line).toMatch(/\((?:(?:dev|trial|pre-prod|prod)(?:, )?)+\)$|\(no environment of /);
    expect(printed).toContain('(pre-prod, prod)');
  }, 60_000);

  it('passes the tests of settings, stacks and pages', { timeout: 240_000 }, async ({ skip, expect }) => {
    skip(!includesLong, takesMinutes);
    const { status, printed } = await vitest(
      ...['test/environments', 'test/bootstrap', 'test/catalogue.test.ts', 'test/docs.test.ts'],
      ...['test/stacks/protection.test.ts', 'test/rehearsal/installation.test.ts'],
    );
    expect(status, printed).toBe(0);
  });

  it('passes all tests and a whole rehearsal', { timeout: 7_200_000 }, async ({ skip, expect }) => {
    skip(!isComplete, 'takes as long as all tests: LLAMA_REHEARSAL=complete, or npm run prove -- acme');
    skip(missing !== undefined, missing);
    const { summary } = await proveAcme({ log: (line) => void process.stdout.write(`${line}\n`) });
    expect(summary).toContain('pass');
  });
});
