import { PostgresqlFlexibleServerFirewallRule } from '@cdktf/provider-azurerm/lib/postgresql-flexible-server-firewall-rule/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { chained } from './chain.ts';
import type { IFlexibleServer } from './server.ts';

export interface AddressRange {
  /** Name of the rule, up to 128 letters, digits, hyphens and underscores. */
  readonly name: string;
  /** First IPv4 address. */
  readonly start: string;
  /** Last IPv4 address, included. */
  readonly end: string;
}

export interface FirewallRulesProps {
  readonly server: IFlexibleServer;
  readonly ranges: readonly AddressRange[];
  readonly after: readonly ITerraformDependable[];
}

/** The addresses that may connect to a public server. Azure refuses rules on injected servers. */
export class FirewallRules extends Construct {
  readonly last: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: FirewallRulesProps) {
    super(scope, id);
    this.last = chained(
      props.ranges,
      props.after,
      (range, dependsOn) =>
        new PostgresqlFlexibleServerFirewallRule(this, range.name, {
          name: range.name,
          serverId: props.server.id,
          startIpAddress: range.start,
          endIpAddress: range.end,
          dependsOn,
        }),
    );
  }
}
