import type { Command } from 'commander';

interface BootstrapOptions {
  readonly repository: string;
  readonly subscription?: string;
  readonly print?: true;
  readonly preview?: true;
}

export function register(program: Command): void {
  program
    .command('bootstrap')
    .argument('<environment>', 'environment to prepare a subscription for')
    .description(
      'prepare what a first deployment needs: state container, identities, roles, federated credentials',
    )
    .requiredOption('--repository <owner/name>', 'GitHub repository whose workflows deploy')
    .option('--subscription <id>', 'Azure subscription; default: ARM_SUBSCRIPTION_ID')
    .option('--print', 'print the ARM template and change nothing')
    .option('--preview', "print what would change, by Azure's what-if, and change nothing")
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
