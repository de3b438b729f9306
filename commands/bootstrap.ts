import type { Command } from 'commander';
import { environmentArgument, subscriptionOption } from './common/options.ts';

interface BootstrapOptions {
  readonly repository: string;
  readonly subscription?: string;
  readonly print?: true;
  readonly preview?: true;
}

export function register(program: Command): void {
  program
    .command('bootstrap')
    .argument('<environment>', environmentArgument)
    .description(
      'prepare a subscription for a first deployment: state container, identities, roles, federated credentials',
    )
    .requiredOption('--repository <owner/name>', 'GitHub repository whose workflows deploy')
    .addOption(subscriptionOption())
    .option('--print', 'print the ARM template and change nothing')
    .option('--preview', "print the changes that Azure's what-if predicts, and change nothing")
    .addHelpText('after', '\nExample: llama-db bootstrap production --repository acme/database --preview')
    .action(async (environment: string, options: BootstrapOptions) => {
      const { bootstrap } = await import('../bootstrap/bootstrap.ts');
      const mode = options.print ? 'print' : options.preview ? 'preview' : 'run';
      await bootstrap(
        { environment, repository: options.repository, subscription: options.subscription, mode },
        (line) => process.stdout.write(`${line}\n`),
      );
    });
}
