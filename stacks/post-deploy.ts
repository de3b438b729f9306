import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import type { Database } from '../constructs/database.ts';
import { PostDeployStep } from '../constructs/post-deploy-step.ts';
import type { Deployment } from '../database/deployment.ts';
import { listMigrations, migrationsDirectory } from '../database/migrator/files.ts';

export interface PostDeployProps {
  /** The document that the step reads. */
  readonly deployment: Deployment;
  readonly database: Database;
  /** Every other resource of the stack. */
  readonly after: readonly ITerraformDependable[];
}

/**
 * The end of every deployment: migrate, restart the servers if a parameter waits for it, verify, record the release.
 *
 * The step runs again if the database is replaced, its document changes or a migration is added. The plan names which.
 */
export function postDeploy(scope: Construct, { deployment, database, after }: PostDeployProps): void {
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
