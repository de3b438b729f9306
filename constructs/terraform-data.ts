import { TerraformResource, type TerraformResourceConfig } from 'cdktf';
import type { Construct } from 'constructs';

export interface TerraformDataProps
  extends Pick<TerraformResourceConfig, 'dependsOn' | 'lifecycle' | 'provisioners'> {
  /** Terraform replaces the resource if any of it changes. */
  readonly triggersReplace: object;
}

/**
 * Terraform's built-in `terraform_data`. cdktf's own class for it (`DataResource`) runs `terraform version` during the
 * synthesis and fails if Terraform is not installed.
 */
export class TerraformData extends TerraformResource {
  readonly #triggers: object;

  constructor(scope: Construct, id: string, { triggersReplace, ...config }: TerraformDataProps) {
    super(scope, id, {
      terraformResourceType: 'terraform_data',
      terraformGeneratorMetadata: { providerName: 'terraform' },
      ...config,
    });
    this.#triggers = triggersReplace;
  }

  protected override synthesizeAttributes() {
    return { triggers_replace: this.#triggers };
  }
}
