import type { Command } from 'commander';
import { catalogue } from '../verification/catalogue.ts';
import { documentChecks, explain, listChecks } from '../verification/report/explain.ts';
import { findCheck } from '../verification/verify.ts';
import { printJson } from './common/target.ts';

interface Options {
  readonly json?: boolean;
  readonly markdown?: boolean;
}

export function register(program: Command): void {
  program
    .command('explain')
    .description('print what a check inspects, why, its remedy and its source')
    .argument('[check]', 'id or name of the check; lists every check if omitted')
    .option('--json', 'print the result as JSON on stdout')
    .option('--markdown', 'print the whole catalogue as docs/checks.md')
    .addHelpText('after', '\nExample: llama-db explain ISO-006')
    .action((id: string | undefined, { json, markdown }: Options) => {
      if (markdown) process.stdout.write(documentChecks());
      else if (json) {
        const checks = id === undefined ? catalogue.map(({ run: _, ...facts }) => facts) : [facts(id)];
        printJson({ checks });
      } else process.stdout.write(id === undefined ? listChecks() : explain(findCheck(id)));
    });
}

function facts(asked: string) {
  const { id, name, group, severity, title, inspects, why, remedy, source } = findCheck(asked);
  return { id, name, group, severity, title, inspects, why, remedy, source };
}
