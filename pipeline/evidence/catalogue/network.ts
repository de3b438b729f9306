/** Reach of the network: who can open a connection at all. */

import { at, objectsAt } from '../../../core/json.ts';
import type { Family } from '../control.ts';
import { attribute, companion, equal, none, pointerOf, resourcesOf } from '../stack.ts';
import { isNotInjected, targets, types } from './terms.ts';

export const family: Family = {
  prefix: 'NET',
  title: 'Network',
  controls: [
    {
      id: 'NET-1',
      title: 'No server has a public address',
      why: 'A public address lets anyone on the internet try to log in.',
      setting: 'network.mode',
      stack: [
        attribute(types.server, ['public_network_access_enabled'], equal(false), {
          of: 'every Flexible Server',
        }),
      ],
      rules: ['network/protected-is-private'],
      checks: ['AZU-020'],
      mapped: {
        'cis-database': ['6.3'],
        'mcsb-v1': ['NS-2'],
        'mcsb-v2': ['NS-2'],
        soc2: ['CC6.6'],
        iso27001: ['A.8.3', 'A.8.20'],
        nis2: ['6.7.2'],
        fedramp: ['KSI-CNA'],
      },
    },
    {
      id: 'NET-2',
      title: 'Every server is reached through an approved private endpoint or a subnet of its own',
      why: 'Without one, traffic leaves the virtual network, or nothing connects.',
      setting: 'network.mode',
      stack: [
        companion(
          types.server,
          types.endpoint,
          targets,
          'private endpoint of every Flexible Server outside a delegated subnet',
          isNotInjected,
        ),
      ],
      rules: [
        'network/postgresql-endpoint-zone',
        'network/delegated-subnet',
        'network/delegated-subnet-is-used',
      ],
      checks: ['AZU-021'],
      mapped: {
        'cis-database': ['6.4'],
        'mcsb-v1': ['NS-1', 'NS-2'],
        'mcsb-v2': ['NS-1', 'NS-2'],
        soc2: ['CC6.6'],
        iso27001: ['A.8.20', 'A.8.22'],
        nis2: ['6.8.1'],
        fedramp: ['KSI-CNA'],
      },
    },
    {
      id: 'NET-3',
      title: 'No firewall rule admits the services of every Azure tenant',
      why: 'The rule 0.0.0.0 admits virtual machines of every customer of Azure.',
      setting: 'network.mode',
      stack: [
        none(
          types.firewallRule,
          (block) => block['start_ip_address'] === '0.0.0.0',
          'firewall rule of a Flexible Server that starts at 0.0.0.0',
        ),
      ],
      rules: ['network/not-every-azure-service', 'network/range-size', 'network/public-addresses'],
      checks: ['AZU-020'],
      mapped: {
        'cis-database': ['6.3'],
        'mcsb-v1': ['NS-2'],
        'mcsb-v2': ['NS-2'],
        soc2: ['CC6.6'],
        iso27001: ['A.8.3'],
        nis2: ['6.7.2'],
        fedramp: ['KSI-CNA'],
      },
    },
    {
      id: 'NET-4',
      title: 'Subnets admit only the ports of PostgreSQL, PgBouncer and Key Vault',
      why: 'The default rules of a security group admit every port from the whole network.',
      setting: 'network.primary',
      stack: [
        {
          requires: 'Deny',
          holds: (value) => value === 'Deny',
          ifNone: 'not applicable',
          subject: 'last inbound rule for all sources of every network security group',
          find: (stack) =>
            resourcesOf(stack, types.securityGroup).map(([name, block]) => {
              const rules = objectsAt(block, 'security_rule');
              const last = rules
                .map((rule, index) => ({ rule, index }))
                .filter(
                  ({ rule }) =>
                    rule['direction'] === 'Inbound' &&
                    rule['source_address_prefix'] === '*' &&
                    rule['destination_port_range'] === '*',
                )
                .sort((a, b) => Number(b.rule['priority']) - Number(a.rule['priority']))[0];
              const path = ['resource', types.securityGroup, name];
              return last
                ? {
                    pointer: pointerOf([...path, 'security_rule', last.index, 'access']),
                    value: at(last.rule, 'access'),
                  }
                : { pointer: pointerOf(path), value: undefined };
            }),
        },
      ],
      unseen: [
        'Owners of adopted subnets keep the security groups of those subnets: ask them for the rules in force.',
      ],
      mapped: {
        'mcsb-v1': ['NS-1'],
        'mcsb-v2': ['NS-1'],
        soc2: ['CC6.6'],
        iso27001: ['A.8.22'],
        nis2: ['6.8.1'],
        fedramp: ['KSI-CNA'],
      },
    },
    {
      id: 'NET-5',
      title: 'The key vault is closed to the internet',
      why: 'An open vault lets a stolen token unwrap the data keys from anywhere.',
      setting: 'keyVault',
      stack: [
        attribute(types.vault, ['public_network_access_enabled'], equal(false), {
          of: 'every key vault of the stack',
          ifNone: 'not applicable',
        }),
        attribute(types.vault, ['network_acls', 'default_action'], equal('Deny'), {
          of: 'every key vault of the stack',
          ifNone: 'not applicable',
        }),
        companion(types.vault, types.endpoint, targets, 'private endpoint of every key vault of the stack'),
      ],
      rules: ['network/key-vault-zone'],
      unseen: [
        'An adopted vault (keyVault.existing) is configured by its owner: ask for its network settings.',
      ],
      mapped: {
        'cis-foundations': ['8.3.7', '8.3.8'],
        'mcsb-v1': ['NS-2', 'DP-8'],
        'mcsb-v2': ['NS-2', 'DP-8'],
        soc2: ['CC6.6'],
        iso27001: ['A.8.3', 'A.8.24'],
        nis2: ['9.2.c.iv'],
        fedramp: ['KSI-CNA'],
      },
    },
  ],
};
