/**
 * The templates of `npm run new`. Each makes everything that a test demands of the new thing, and leaves its content to
 * the author: a generated check or rule finds nothing, so its generated test row fails until both are written.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { firstEnvironment } from '../common/options.ts';
import { exists, type Scaffold, Source } from './scaffold.ts';

export interface Template {
  /** The form of the name, for help and errors. */
  readonly form: string;
  readonly description: string;
  readonly pattern: RegExp;
  make(root: string, name: string): Scaffold;
}

const plainName = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const nameInFamily = /^[a-z][a-z0-9-]*\/[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;

export const templates: Readonly<Record<string, Template>> = {
  check: {
    form: '<family>/<name>, such as replication/replica-is-in-another-region',
    description: 'a check in verification/checks/<family>.ts with its test row',
    pattern: nameInFamily,
    make: check,
  },
  'lint-rule': {
    form: '<family>/<name>, such as locks/reindex-blocks-writes',
    description: 'a lint rule in database/migrator/lint/rules/<family>.ts with its test row',
    pattern: nameInFamily,
    make: lintRule,
  },
  'settings-rule': {
    form: '<family>/<name>, such as compute/standby-needs-zones',
    description: 'a rule in environments/rules/<family>.ts with its test row',
    pattern: nameInFamily,
    make: settingsRule,
  },
  scenario: {
    form: '<name>, such as region-fails',
    description: 'a scenario in rehearsal/scenarios/',
    pattern: plainName,
    make: scenario,
  },
  command: {
    form: '<name>, such as export',
    description: 'a command in commands/ with its test and its row in README.md',
    pattern: plainName,
    make: command,
  },
  migration: {
    form: '<name>, such as tenant-quotas',
    description: 'a migration in migrations/ with the next number',
    pattern: plainName,
    make: migration,
  },
};

/** @throws Fault (exit 2) for an unknown kind, or a name of another form */
export function templateFor(kind: string, name: string): Template {
  const template = templates[kind];
  if (!template)
    throw new Fault(
      'new/unknown-kind',
      `There is no template ${kind}`,
      `the kinds are ${Object.keys(templates).join(', ')}`,
      'Name one of them.',
      { exitCode: 2 },
    );
  if (!template.pattern.test(name))
    throw new Fault(
      'new/bad-name',
      `${name} is not a name for a ${kind}`,
      `its form is ${template.form}`,
      'Use lower case letters, digits and single dashes.',
      { exitCode: 2 },
    );
  return template;
}

function namesIn(root: string, folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length));
}

function split(name: string): readonly [family: string, own: string] {
  const [family = '', own = ''] = name.split('/');
  return [family, own];
}

function requireUnused(root: string, folder: string, quoted: string): void {
  for (const name of namesIn(root, folder))
    if (new Source(root, `${folder}/${name}.ts`).text.includes(quoted)) throw exists(quoted);
}

function check(root: string, name: string): Scaffold {
  const folder = 'verification/checks';
  const [family, own] = split(name);
  const file = new Source(root, `${folder}/${family}.ts`, namesIn(root, folder));
  requireUnused(root, folder, `name: '${own}'`);
  const prefix = /id: '([A-Z]{3})-\d{3}'/.exec(file.text)?.[1] ?? '';
  const texts = namesIn(root, folder).map((one) => new Source(root, `${folder}/${one}.ts`).text);
  const numbers = texts.flatMap((text) =>
    [...text.matchAll(new RegExp(`'${prefix}-(\\d{3})'`, 'g'))].map(([, number]) => Number(number)),
  );
  const id = `${prefix}-${String(Math.max(...numbers) + 1).padStart(3, '0')}`;
  const rows = namesIn(root, 'test/verification')
    .filter((one) => one.startsWith('rows-'))
    .map((one) => new Source(root, `test/verification/${one}.ts`))
    .find(({ text }) => text.includes(`breaks: '${prefix}-`));
  if (!rows)
    throw new Fault(
      'new/no-test-rows',
      `Checks of ${family} have no rows of statements`,
      'their tests change what a service reports, not the database',
      'Copy a check of that file by hand; docs/contributing.md names the places.',
      { exitCode: 2 },
    );
  const text = `  {
    id: '${id}',
    name: '${own}',
    loses: 'upkeep',
    title: 'State the rule as an assertion',
    inspects: 'the catalog, view or API that it reads',
    why: 'State the damage of a violation.',
    remedy: 'State the command or the setting that restores the rule.',
    source: 'Name a document or a decision.',
    run: () => judge('state what was inspected', []),
  },
`;
  const usesJudge = /\bjudge\b[^;]*from '\.\.\/outcome\.ts'/.test(file.text);
  return {
    files: {},
    insertions: [
      // From the end, so that the offset of the import stays valid.
      file.before(']);\n', text),
      ...(usesJudge ? [] : [file.before('\nimport ', "\nimport { judge } from '../outcome.ts';")]),
      rows.afterRow(`breaks: '${prefix}-`, '\n];', `\n  { breaks: '${id}', sql: 'SELECT 1' },`),
    ],
    next: [
      `Write ${id} in ${file.file}: its texts and run().`,
      `Write its row in ${rows.file}: the statement that breaks this check and no other.`,
      'npx vitest run test/verification; npm run docs',
    ],
  };
}

function lintRule(root: string, name: string): Scaffold {
  const folder = 'database/migrator/lint/rules';
  const [family, id] = split(name);
  const file = new Source(root, `${folder}/${family}.ts`, namesIn(root, folder));
  requireUnused(root, folder, `id: '${id}'`);
  const rows = new Source(root, 'test/database/migrator/lint/rows.ts');
  const text = `
  {
    id: '${id}',
    severity: 'medium',
    title: 'State the rule as an assertion, without a full stop',
    why: 'state the damage of a violation, without a full stop',
    remedy: 'State the correct way.',
    source: 'name a document or a decision',
    check: () => [],
  },`;
  return {
    files: {},
    insertions: [
      file.before('\n];\n', text),
      rows.before(
        '\n];\n',
        `\n  {\n    rule: '${id}',\n    at: 'SELECT 1',\n    bad: 'SELECT 1;',\n    good: 'SELECT 2;',\n  },`,
      ),
    ],
    next: [
      `Write ${id} in ${file.file}: its texts and check().`,
      `Write its row in ${rows.file}: a statement that only this rule reports, and the same without the fault.`,
      'npx vitest run test/database/migrator/lint; npm run docs',
    ],
  };
}

function settingsRule(root: string, name: string): Scaffold {
  const folder = 'environments/rules';
  const [family] = split(name);
  const file = new Source(root, `${folder}/${family}.ts`, namesIn(root, folder));
  requireUnused(root, folder, `'${name}'`);
  const rows = namesIn(root, 'test/environments/refused')
    .map((one) => new Source(root, `test/environments/refused/${one}.ts`))
    .find(({ text }) => text.includes(`id: '${family}/`));
  if (!rows) throw new Error(`no file of refused settings has rules of ${family}`);
  const text = `
  '${name}': {
    rule: 'state what must hold, in lower case and without a full stop',
    source: 'name a document or a page of Azure',
    check: () => [],
  },`;
  return {
    files: {},
    insertions: [
      file.before('\n});\n', text),
      rows.afterRow(
        `id: '${family}/`,
        '\n];',
        `\n  {\n    what: 'settings that violate ${name}',\n    id: '${name}',\n    change: { 'server.name': 'refused' },\n    source: /name a document/,\n  },`,
      ),
    ],
    next: [
      `Write ${name} in ${file.file}: its texts and check().`,
      `Write its row in ${rows.file}: one change to valid settings that only this rule refuses.`,
      'npx vitest run test/environments; npm run docs',
    ],
  };
}

function scenario(_root: string, name: string): Scaffold {
  const file = `rehearsal/scenarios/${name}.ts`;
  const text = `import type { Scenario } from '../sandbox/scenario.ts';

export const scenario: Scenario = {
  name: '${name}',
  title: 'State the behavior as an assertion',
  needs: [],
  startsFrom: 'deployed',
  async run(sandbox) {
    const run = await sandbox.assertDeploys();
    sandbox.check('it changed no resource', run.resources.length === 0);
  },
};
`;
  return {
    files: { [file]: text },
    insertions: [],
    next: [
      `Write ${file}: its title, the traits that it needs and run().`,
      `npm run rehearse -- ${firstEnvironment} --quick --scenario ${name}`,
    ],
  };
}

function command(root: string, name: string): Scaffold {
  const readme = new Source(root, 'README.md');
  const text = `import type { Command } from 'commander';
import { firstEnvironment, type TargetOptions, withTarget } from './common/options.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

export function register(program: Command): void {
  withTarget(program.command('${name}'))
    .description('state its effect in the imperative')
    .addHelpText('after', \`\\nExample: llama-db ${name} \${firstEnvironment}\`)
    .action(async (environment: string | undefined, options: TargetOptions) => {
      const reporter = reporterFor(options);
      const { host, database } = await targetOf(environment, options);
      reporter.line(\`\${database} on \${host}\`);
      if (options.json) printJson({ host, database });
    });
}
`;
  const test = `import { expect, it } from 'vitest';
import { run } from './run.ts';

it('llama-db ${name} prints its target', async () => {
  const url = 'postgresql://me@localhost:5432/db';
  const { code, stdout, stderr } = await run(['${name}', '--url', url, '--json']);
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ ok: true, host: 'localhost', database: 'db' });
});
`;
  return {
    files: { [`commands/${name}.ts`]: text, [`test/commands/${name}.test.ts`]: test },
    insertions: [readme.afterRow('\n| `post-deploy`', '\n\n', `\n| \`${name}\` | state its effect |`)],
    next: [
      `Write commands/${name}.ts, and its test in test/commands/${name}.test.ts.`,
      'Describe it in the table of commands in README.md.',
    ],
  };
}

function migration(root: string, name: string): Scaffold {
  const slug = name.replaceAll('-', '_');
  const known = readdirSync(join(root, 'migrations')).flatMap((file) => /^(\d{4})_/.exec(file)?.[1] ?? []);
  const number = String(Math.max(...known.map(Number)) + 1).padStart(4, '0');
  const file = `migrations/${number}_${slug}.sql`;
  const text = `-- Up Migration

-- State why the schema changes. docs/migrations.md shows how to write each kind of change.
COMMENT ON SCHEMA llama IS 'Llama Mapper';

-- Down Migration

COMMENT ON SCHEMA llama IS NULL;
`;
  return {
    files: { [file]: text },
    insertions: [],
    next: [
      `Write ${file}: both directions.`,
      `npx llama-db lint ${file}`,
      'npx llama-db schema --write',
      'npx vitest run test/migrations',
    ],
  };
}
