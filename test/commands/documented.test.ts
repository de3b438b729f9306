/**
 * Every command in the documents is accepted by the real command line, and something runs the procedure: a test, or a person.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { realProgram } from '../support/command-line.ts';

/** Tests that run the commands without a test of their own name in test/commands/: the test of the function behind them. */
const runElsewhere: Readonly<Record<string, string>> = {
  adopt: 'test/pipeline/adopt/command.test.ts',
  'audit head': 'test/database/audit/verify.test.ts',
  'audit seal': 'test/database/audit/verify.test.ts',
  'audit verify': 'test/verification/forgeries.test.ts',
  bench: 'test/benchmarks/benchmark.test.ts',
  bootstrap: 'test/bootstrap/template.test.ts',
  drift: 'rehearsal/scenarios/release-taken-back.ts',
  explain: 'test/commands/verify.test.ts',
  import: 'test/database/import/import.test.ts',
  maintain: 'test/database/maintain/maintain.test.ts',
  metrics: 'test/runtime/monitoring.test.ts',
  migrate: 'test/commands/migrations.test.ts',
  preview: 'test/rehearsal/preview.test.ts',
  'post-deploy': 'test/commands/faults.test.ts',
  'prove acme': 'test/acme.test.ts',
  'prove canaries': 'test/runtime/encryption/canaries.test.ts',
  'prove deployments': 'test/proof/deploying.test.ts',
  'prove isolation': 'test/proof/isolation.test.ts',
  'prove kills': 'test/proof/deploying.test.ts',
  'prove partitions': 'test/proof/partitions.test.ts',
  'prove plans': 'test/proof/plans.test.ts',
  'prove retention': 'test/proof/retention.test.ts',
  'prove runtime-failures': 'test/proof/runtime-failures.test.ts',
  'prove runtime-tenants': 'test/proof/runtime-tenants.test.ts',
  'prove runtime-memory': 'test/proof/runtime-memory.test.ts',
  'prove successors': 'test/proof/successors.test.ts',
  promote: 'test/pipeline/pipelines/played.test.ts',
  rehearse: 'test/rehearsal/report.test.ts',
  'rehearse-faults': 'test/rehearsal/faults.test.ts',
  'release apply': 'rehearsal/scenarios/release-applied.ts',
  'release inspect': 'test/pipeline/pipelines/played.test.ts',
  'release plan': 'rehearsal/scenarios/release-applied.ts',
  'release verify': 'rehearsal/scenarios/release-applied.ts',
  repair: 'test/database/schema/repair.test.ts',
  rollback: 'test/commands/migrations.test.ts',
  start: 'test/local/postgres/start.test.ts',
  status: 'test/commands/migrations.test.ts',
};

interface Documented {
  readonly place: string;
  readonly words: readonly string[];
  /** A line of a block is complete. Inline code may be the name of a command with one option. */
  readonly whole: boolean;
}

const scripts: Readonly<Record<string, string>> = JSON.parse(readFileSync('package.json', 'utf8')).scripts;
const pages = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
);
const documented = pages.flatMap(commandsOf);
const program = await realProgram();
/** Every command that acts, with its path. */
const leaves = program.commands.flatMap((command) =>
  command.commands.length === 0
    ? [command.name()]
    : command.commands.map((child) => `${command.name()} ${child.name()}`),
);

function commandsOf(page: string): readonly Documented[] {
  const text = readFileSync(page, 'utf8').replace(/\\\n\s*/g, ' ');
  const found: Documented[] = [];
  let block = false;
  for (const [place, line] of text.split('\n').entries()) {
    if (line.trimStart().startsWith('```')) {
      block = !block;
      continue;
    }
    const pieces = block
      ? line
          .replace(/^\s*\$ /, '')
          .replace(/\s#.*$/, '')
          .split(/\s(?:&&|\|)\s|\s>>?\s|;/)
      : [...line.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '');
    for (const piece of pieces) {
      const words = wordsOf(piece.trim());
      if (words) found.push({ place: `${page}:${place + 1}: ${piece.trim()}`, words, whole: block });
    }
  }
  return found;
}

/** The arguments of llama-db; undefined if it is another program. */
function wordsOf(line: string): readonly string[] | undefined {
  // A continued example, an alternative and a placeholder.
  const text = line
    .replace(/<[^>]*>/g, 'x')
    .replace(/…/g, 'x')
    .replace(/^[A-Z_]+=\S+ /, '');
  const [, script, rest = ''] = /^npm (?:run )?([a-z:]+)(?: -- (.*))?$/.exec(text) ?? [];
  const [, own] =
    /^node commands\/llama-db\.mjs (.+)$/.exec(script === undefined ? '' : (scripts[script] ?? '')) ?? [];
  const [, direct] = /^(?:npx )?llama-db (.+)$/.exec(text) ?? [];
  const all = direct ?? (own === undefined ? undefined : `${own} ${rest}`);
  const words = all?.trim().split(/\s+/);
  // The general form of a command names none.
  return words?.[0] === 'x' ? undefined : words;
}

/** The command that the words name, with its path. */
function named(words: readonly string[]): readonly [string, Command] | undefined {
  const [first = '', second = ''] = words;
  const command = program.commands.find((one) => one.name() === first);
  if (!command || command.commands.length === 0) return command && [first, command];
  const child = command.commands.find((one) => one.name() === second);
  return child ? [`${first} ${second}`, child] : [first, command];
}

it('are found in the documents', () => {
  expect(documented.filter(({ whole }) => whole).length).toBeGreaterThan(25);
  expect(documented.length).toBeGreaterThan(80);
});

it.each(documented.map(({ place, words, whole }) => [place, words, whole] as const))(
  '%s',
  async (_, words, whole) => {
    const [path, command] = named(words) ?? [];
    expect(command, 'is not a command').toBeDefined();
    if (!command || path === undefined) return;
    if (command.commands.length === 0) {
      expect(leaves).toContain(path);
    }
    if (whole) {
      await program.parseAsync([...words], { from: 'user' });
      return;
    }
    const known = [command, ...command.commands]
      .flatMap(({ options }) => options)
      .flatMap(({ long, short }) => [long, short]);
    for (const word of words.filter((one) => one.startsWith('-'))) {
      expect([...known, '--help', '--version', '--debug']).toContain(word.replace(/=.*$/, ''));
    }
  },
);

/**
 * Parameters of Azure's command line that the documents use. https://learn.microsoft.com/cli/azure/reference-index
 */
const azure: Readonly<Record<string, readonly string[]>> = {
  'account show': [],
  'acr login': ['name'],
  'ad group member add': ['group', 'member-id'],
  'ad group show': ['group'],
  'ad sp create': ['id'],
  'ad sp list': ['display-name'],
  'group delete': ['name'],
  'identity create': ['location', 'name', 'resource-group'],
  'identity show': ['name', 'resource-group'],
  'keyvault key list-versions': ['vault-name', 'name'],
  'keyvault key rotate': ['vault-name', 'name'],
  'keyvault key rotation-policy show': ['vault-name', 'name'],
  'keyvault key rotation-policy update': ['vault-name', 'name', 'value'],
  'keyvault key set-attributes': ['vault-name', 'name', 'version', 'enabled'],
  login: [],
  'monitor activity-log list': ['offset', 'resource-group'],
  'network private-endpoint delete': ['ids'],
  'network vnet subnet create': [
    ...['address-prefixes', 'delegations', 'name', 'network-security-group', 'resource-group', 'vnet-name'],
  ],
  'postgres flexible-server replica promote': ['promote-mode', 'promote-option', 'resource-group', 'name'],
  'postgres flexible-server restart': ['failover', 'resource-group', 'name'],
  'postgres flexible-server restore': ['resource-group', 'name', 'source-server', 'restore-time'],
  'postgres flexible-server show': ['ids', 'resource-group', 'name', 'query'],
  'provider register': ['namespace'],
  'resource create': [
    ...['api-version', 'is-full-object', 'name', 'properties', 'resource-group', 'resource-type'],
  ],
  rest: ['method', 'url', 'body'],
  'role assignment create': ['assignee-object-id', 'assignee-principal-type', 'role', 'scope'],
  'role assignment list': ['all'],
  'role definition delete': ['name'],
};

// Messages of faults name servers in the middle of a command.
const azureCommands = pages
  .filter((page) => page !== 'docs/faults.md')
  .flatMap((page) => {
    const text = readFileSync(page, 'utf8').replace(/\\\n\s*/g, ' ');
    return [...text.matchAll(/(?:^|[`(])\s*az ((?:[a-z][a-z-]*(?: |$|`))+)([^`\n]*)/gm)].map(
      ([, command = '', rest = '']) => ({
        place: page,
        command: command.replace('`', '').trim(),
        parameters: [...(rest.split(/\s[#&|]|\$\(|\)/)[0]?.matchAll(/--([a-z-]+)/g) ?? [])].map(
          ([, name = '']) => name,
        ),
      }),
    );
  });

it.each(azureCommands.map((one) => [`${one.place}: az ${one.command}`, one] as const))(
  '%s',
  (_, { command, parameters }) => {
    const known = azure[command];
    expect(known, 'is not a command of az that this test knows').toBeDefined();
    expect(parameters.filter((name) => ![...(known ?? []), 'query', 'output'].includes(name))).toEqual([]);
  },
);

it('names no command of az that no document uses', () => {
  const used = new Set(azureCommands.map(({ command }) => command));
  expect(Object.keys(azure).filter((command) => !used.has(command))).toEqual([]);
});

it('names what runs every command, and nothing else', () => {
  const runBy = leaves.map(
    (path) => [path, runElsewhere[path] ?? `test/commands/${path.split(' ')[0]}.test.ts`] as const,
  );
  expect(Object.keys(runElsewhere).filter((path) => !leaves.includes(path))).toEqual([]);
  const unfounded = runBy.filter(([path, file]) => {
    const name = path.split(/[ -]/).at(-1) ?? path;
    return !existsSync(file) || !new RegExp(`\\b${name}`, 'i').test(readFileSync(file, 'utf8'));
  });
  expect(unfounded).toEqual([]);
});
