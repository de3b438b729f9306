import { MonitorActionGroup } from '@cdktf/provider-azurerm/lib/monitor-action-group/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';

export interface EmailReceiver {
  /** Name in the portal, unique in the group. */
  readonly name: string;
  readonly address: string;
}

export interface ActionGroupProps {
  readonly name: string;
  /** 1-12 characters: the sender's name in text messages. */
  readonly shortName: string;
  readonly resourceGroupName: string;
  readonly emails: readonly EmailReceiver[];
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
}

/** The receivers of alerts. Every alert arrives in the common alert schema, so one parser reads all of them. */
export class ActionGroup extends Construct {
  /** Azure resource id. */
  readonly id: string;
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: ActionGroupProps) {
    super(scope, id);
    const group = new MonitorActionGroup(this, 'Default', {
      name: props.name,
      shortName: props.shortName,
      resourceGroupName: props.resourceGroupName,
      emailReceiver: props.emails.map(({ name, address }) => ({
        name,
        emailAddress: address,
        useCommonAlertSchema: true,
      })),
      ...(props.tags ? { tags: props.tags } : {}),
    });
    this.id = group.id;
    this.resource = group;
  }
}
