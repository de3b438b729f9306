import { MonitorActionGroup } from '@cdktf/provider-azurerm/lib/monitor-action-group/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { type AlertRole, builtInRoles } from '../azure/built-in-roles.ts';

export interface EmailReceiver {
  /** Name in the portal, unique in the group. */
  readonly name: string;
  readonly address: string;
}

export interface TelephoneReceiver {
  /** Unique in the group. */
  readonly name: string;
  /** Digits without `+`. */
  readonly countryCode: string;
  readonly phoneNumber: string;
}

export interface WebhookReceiver {
  /** Unique in the group. */
  readonly name: string;
  readonly url: string;
  /** Object id of the Entra application that the receiver checks the sender's token for. @default - no token */
  readonly application?: string | undefined;
}

export interface RoleReceiver {
  /** Unique in the group. */
  readonly name: string;
  readonly role: AlertRole;
}

export interface ActionGroupProps {
  readonly name: string;
  /** 1-12 characters: the sender's name in text messages. */
  readonly shortName: string;
  readonly resourceGroupName: string;
  readonly emails: readonly EmailReceiver[];
  /** @default - none */
  readonly texts?: readonly TelephoneReceiver[];
  /** @default - none */
  readonly calls?: readonly TelephoneReceiver[];
  /** @default - none */
  readonly webhooks?: readonly WebhookReceiver[];
  /** Everyone who has the role on the subscription. @default - none */
  readonly roles?: readonly RoleReceiver[];
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
      ...receivers(props),
      ...(props.tags ? { tags: props.tags } : {}),
    });
    this.id = group.id;
    this.resource = group;
  }
}

/** Receivers beside e-mail. A kind without one is left out, which Terraform reads as none. */
function receivers({ texts = [], calls = [], webhooks = [], roles = [] }: ActionGroupProps) {
  return {
    ...(texts.length > 0 && { smsReceiver: [...texts] }),
    ...(calls.length > 0 && { voiceReceiver: [...calls] }),
    ...(webhooks.length > 0 && {
      webhookReceiver: webhooks.map(({ name, url, application }) => ({
        name,
        serviceUri: url,
        useCommonAlertSchema: true,
        ...(application !== undefined && { aadAuth: { objectId: application } }),
      })),
    }),
    ...(roles.length > 0 && {
      armRoleReceiver: roles.map(({ name, role }) => ({
        name,
        roleId: builtInRoles[role].id,
        useCommonAlertSchema: true,
      })),
    }),
  };
}
