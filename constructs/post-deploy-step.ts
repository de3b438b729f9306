import { Fn, type ITerraformDependable, TerraformResource } from 'cdktf';
import { Construct } from 'constructs';

export interface PostDeployStepProps {
  /** Shell command; its working directory is `workingDirectory`. */
  readonly command: string;
  /** Relative to the stack's own folder: an absolute path would differ between machines. */
  readonly workingDirectory: string;
  /**
   * Documents handed over as environment variables, each as JSON. Nothing secret: Terraform would then hide the
   * command's whole output.
   */
  readonly documents: Readonly<Record<string, object>>;
  /** The command runs again when any of it changes, and the plan shows what did. */
  readonly triggers: Readonly<Record<string, unknown>>;
  /** Everything that must be finished before. */
  readonly after: readonly ITerraformDependable[];
}

/**
 * A command that ends a deployment, as a resource: a failure taints it, so the next deployment runs it again.
 */
export class PostDeployStep extends Construct {
  constructor(scope: Construct, id: string, props: PostDeployStepProps) {
    super(scope, id);
    new TerraformData(this, 'Default', props);
  }
}

/**
 * Terraform's built-in `terraform_data`. cdktf's own class for it (`DataResource`) runs `terraform version` while
 * synthesizing, and fails where Terraform is not installed.
 */
class TerraformData extends TerraformResource {
  readonly #triggers: PostDeployStepProps['triggers'];

  constructor(scope: Construct, id: string, props: PostDeployStepProps) {
    super(scope, id, {
      terraformResourceType: 'terraform_data',
      terraformGeneratorMetadata: { providerName: 'terraform' },
      provisioners: [
        {
          type: 'local-exec',
          command: props.command,
          workingDir: props.workingDirectory,
          environment: Object.fromEntries(
            Object.entries(props.documents).map(([name, document]) => [name, Fn.jsonencode(document)]),
          ),
        },
      ],
      dependsOn: [...props.after],
    });
    this.#triggers = props.triggers;
  }

  protected override synthesizeAttributes() {
    return { triggers_replace: this.#triggers };
  }
}
