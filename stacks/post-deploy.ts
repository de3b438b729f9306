import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { PostDeployStep } from '../constructs/post-deploy-step.ts';
import type { Deployment } from '../database/deployment.ts';
import { listMigrations, migrationsDirectory } from '../database/migrator/files.ts';
import type { Servers } from './servers.ts';

/**
 * The end of every deployment: migrate, restart if something waits for it, verify, record the release.
 *
 * It runs again when the database was replaced, when what it is told changed, or when a migration was added; the
 * plan names which.
 */
export function postDeploy(
  scope: Construct,
  deployment: Deployment,
  { database }: Servers,
  after: readonly ITerraformDependable[],
): void {
  new PostDeployStep(scope, 'post_deploy', {
    command: 'node commands/llama-db.mjs post-deploy',
    // cdktf.out/stacks/<environment> is where Terraform runs.
    workingDirectory: '../../..',
    variable: 'LLAMA_DB_DEPLOYMENT',
    document: deployment,
    triggers: {
      database_id: database.id,
      migrations: Object.fromEntries(
        listMigrations(migrationsDirectory).map(({ file, checksum }) => [file, checksum]),
      ),
    },
    after,
  });
}
