import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { expression } from './expression.ts';
import { TerraformData } from './terraform-data.ts';

export interface PostDeployStepProps {
  /** Shell command; its working directory is `workingDirectory`. */
  readonly command: string;
  /** Relative to the stack's own folder: an absolute path would differ between machines. */
  readonly workingDirectory: string;
  /** Name of the environment variable that holds `document`, as JSON. */
  readonly variable: string;
  /**
   * Input of the command, which runs again if any of it changes. It holds no secret: Terraform would otherwise hide
   * the command's whole output.
   */
  readonly document: object;
  /** The command also runs again if any of these changes. The plan shows them beside `settings`, the document. */
  readonly triggers: Readonly<Record<string, unknown>>;
  /** Resources that must be finished before. */
  readonly after: readonly ITerraformDependable[];
}

/** A command that ends a deployment, as a resource: a failure taints it, so the next deployment runs it again. */
export class PostDeployStep extends Construct {
  constructor(scope: Construct, id: string, props: PostDeployStepProps) {
    super(scope, id);
    new TerraformData(this, 'Default', {
      triggersReplace: { ...props.triggers, settings: props.document },
      provisioners: [
        {
          type: 'local-exec',
          command: props.command,
          workingDir: props.workingDirectory,
          // Read from the resource itself: in an expression, a quotation mark in a setting would end the text.
          environment: { [props.variable]: expression('jsonencode(self.triggers_replace.settings)') },
        },
      ],
      dependsOn: [...props.after],
    });
  }
}
