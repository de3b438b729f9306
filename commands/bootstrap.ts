import type { Command } from 'commander';
import { environmentArgument, jsonOption, lastEnvironment, subscriptionOption } from './common/options.ts';
import { printJson, print as printText, reporterFor } from './common/target.ts';

interface BootstrapOptions {
  readonly subjectPrefix?: string;
  readonly issuer?: string;
  readonly planSubject?: string;
  readonly deploySubject?: string;
  readonly subscription?: string;
  readonly print?: true;
  readonly preview?: true;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('bootstrap')
    .argument('<environment>', environmentArgument)
    .description(
      'prepare a subscription for a first deployment: state container, identities, roles, federated credentials',
    )
    .option(
      '--subject-prefix <prefix>',
      'GitHub: how the subjects of the repository begin, repo:OWNER@ID/REPOSITORY@ID',
    )
    .option('--issuer <url>', 'another platform: issuer of its tokens')
    .option('--plan-subject <subject>', 'another platform: subject of the job that plans')
    .option('--deploy-subject <subject>', 'another platform: subject of the job that deploys')
    .addOption(subscriptionOption())
    .option('--print', 'print the ARM template and change nothing')
    .option('--preview', "print the changes that Azure's what-if predicts, and change nothing")
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Example: llama-db bootstrap ${lastEnvironment} --subject-prefix repo:acme@1234/database@5678 --preview

This prints the prefix of a GitHub repository:
  gh api repos/OWNER/REPOSITORY/actions/oidc/customization/sub --jq .sub_claim_prefix`,
    )
    .action(async (environment: string, { print, preview, json, ...options }: BootstrapOptions) => {
      const { bootstrap } = await import('../bootstrap/bootstrap.ts');
      const mode = print ? 'print' : preview ? 'preview' : 'run';
      const result = await bootstrap({ environment, mode, ...options }, reporterFor({ json: json ?? false }));
      if (json) printJson(result);
      else if (result.template) printText(`${JSON.stringify(result.template, null, 2)}\n`);
    });
}
