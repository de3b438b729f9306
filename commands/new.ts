import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Development only: `npm run new -- <kind> <name>`. */
export function register(program: Command): void {
  program
    .command('new')
    .argument('<kind>', 'check, lint-rule, settings-rule, scenario, command or migration')
    .argument('<name>', 'the name; of a check or rule with its family: <family>/<name>')
    .description('make the files of a new check, rule, scenario, command or migration (docs/contributing.md)')
    .addHelpText('after', '\nExample: npm run new -- check replication/replica-is-in-another-region')
    .action(async (kind: string, name: string) => {
      const [{ templateFor }, { write }] = await Promise.all([
        import('./scaffold/templates.ts'),
        import('./scaffold/scaffold.ts'),
      ]);
      const scaffold = templateFor(kind, name).make(root, name);
      const written = write(root, scaffold);
      const lines = [
        ...written.map((file) => `wrote ${file}`),
        'Next:',
        ...scaffold.next.map((step) => `  ${step}`),
      ];
      process.stdout.write(`${lines.join('\n')}\n`);
    });
}
