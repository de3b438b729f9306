import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { TerraformData } from './terraform-data.ts';

export interface PostDeployStepProps {
  /** Shell command; its working directory is `workingDirectory`. */
  readonly command: string;
  /** Relative to the stack's own folder: an absolute path would differ between machines. */
  readonly workingDirectory: string;
  /** Name of the environment variable that holds `document`, as JSON. */
  readonly variable: string;
  /**
   * What the command is told; it runs again when any of it changes. Nothing secret: Terraform would then hide the
   * command's whole output.
   */
  readonly document: object;
  /** The command also runs again when any of these changes. In the plan they stand beside `settings`, the document. */
  readonly triggers: Readonly<Record<string, unknown>>;
  /** Everything that must be finished before. */
  readonly after: readonly ITerraformDependable[];
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: Terraform's template, not JavaScript's
const TOLD = '${jsonencode(self.triggers_replace.settings)}';

/**
 * A command that ends a deployment, as a resource: a failure taints it, so the next deployment runs it again.
 */
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
          // From the resource itself: written out as an expression, a quotation mark in a setting would end it.
          environment: { [props.variable]: TOLD },
        },
      ],
      dependsOn: [...props.after],
    });
  }
}
