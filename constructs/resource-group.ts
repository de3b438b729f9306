import { DataAzurermResourceGroup } from '@cdktf/provider-azurerm/lib/data-azurerm-resource-group/index.js';
import { ResourceGroup as AzurermResourceGroup } from '@cdktf/provider-azurerm/lib/resource-group/index.js';
import { Construct } from 'constructs';

export interface ResourceGroupProps {
  readonly name: string;
  /** Azure region. An adopted group keeps its own; new resources in it use this one. */
  readonly location: string;
  /** Refer to a group that exists already. @default false - created here */
  readonly existing?: boolean;
  /** Tags of a created group; an adopted one keeps its own. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A resource group, created or adopted. */
export class ResourceGroup extends Construct {
  readonly id: string;
  readonly name: string;
  readonly location: string;

  constructor(scope: Construct, id: string, props: ResourceGroupProps) {
    super(scope, id);
    const group = props.existing
      ? new DataAzurermResourceGroup(this, 'Default', { name: props.name })
      : new AzurermResourceGroup(this, 'Default', {
          name: props.name,
          location: props.location,
          ...(props.tags && { tags: props.tags }),
        });
    this.id = group.id;
    this.name = group.name;
    this.location = props.location;
  }
}
