import { DataAzurermPostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/data-azurerm-postgresql-flexible-server/index.js';
import { DataAzurermResources } from '@cdktf/provider-azurerm/lib/data-azurerm-resources/index.js';
import { Construct } from 'constructs';
import { expression } from './expression.ts';

/** A resource by its place in Azure, as text: a reference would defer the reading to the apply. */
export interface Place {
  readonly name: string;
  readonly resourceGroupName: string;
}

/** All resources of one type that the deploying identity sees in the subscription, as they are before the deployment. */
export class PresentResources extends Construct {
  readonly #list: string;

  /** @param type `Microsoft.KeyVault/vaults` */
  constructor(scope: Construct, id: string, type: string) {
    super(scope, id);
    this.#list = `data.azurerm_resources.${new DataAzurermResources(this, 'Default', { type }).friendlyUniqueId}`;
  }

  /** Terraform expression for the list of the one resource at a place; empty if it does not exist. */
  at({ name, resourceGroupName }: Place): string {
    const [own, group] = [name, resourceGroupName].map((text) => JSON.stringify(text.toLowerCase()));
    return `[for one in ${this.#list}.resources : one if lower(one.name) == ${own} && lower(one.resource_group_name) == ${group}]`;
  }
}

/** One server as it is before the deployment. */
export class PresentServer extends Construct {
  /** Terraform expression for its list of attributes; empty if it does not exist yet. */
  readonly list: string;

  constructor(scope: Construct, id: string, place: Place, servers: PresentResources) {
    super(scope, id);
    const data = new DataAzurermPostgresqlFlexibleServer(this, 'Default', { ...place });
    data.addOverride('count', expression(`length(${servers.at(place)})`));
    this.list = `data.azurerm_postgresql_flexible_server.${data.friendlyUniqueId}`;
  }
}

/** A condition of a plan. Terraform refuses the whole plan with the message if it does not hold. */
export interface Condition {
  /** Terraform expression. */
  readonly holds: string;
  readonly message: string;
}

/** Conditions as arguments of `lifecycle`. */
export function preconditions(conditions: readonly Condition[]) {
  return conditions.map(({ holds, message }) => ({ condition: expression(holds), errorMessage: message }));
}
