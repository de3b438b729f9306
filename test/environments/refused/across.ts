import { production } from '../../../environments/production.ts';
import { staging } from '../../../environments/staging.ts';
import type { Row } from './row.ts';

/** Changes of one environment that take what another one has. The problem names the later of the two. */
export interface AcrossRow extends Pick<Row, 'what' | 'id' | 'change'> {
  /** Field of production that the problem must name. */
  readonly field: string;
}

export const acrossRows: readonly AcrossRow[] = [
  {
    what: "another environment's name",
    id: 'across/environment-name',
    change: { name: production.name, 'tags.Environment': production.name },
    field: 'name',
  },
  {
    what: "the name of another environment's replica",
    id: 'across/server-name',
    change: { 'server.name': production.replica?.name },
    field: 'replica.name',
  },
  {
    what: "another environment's virtual endpoint",
    id: 'across/virtual-endpoint-name',
    change: {
      recoveryLocation: production.recoveryLocation,
      'network.recovery': production.network.mode === 'public' ? undefined : production.network.recovery,
      replica: { ...production.replica, name: 'llama-mapper-replica-staging' },
      virtualEndpoint: production.virtualEndpoint,
    },
    field: 'virtualEndpoint.name',
  },
  {
    what: "another environment's vault, in another case",
    id: 'across/key-vault-name',
    change: { 'keyVault.name': 'Comply-AI-kv-production' },
    field: 'keyVault.name',
  },
  {
    what: "the account of another environment's state",
    id: 'across/state-account',
    change: {
      'state.storageAccount':
        production.state.backend === 'azurerm' ? production.state.storageAccount : undefined,
    },
    field: 'state.storageAccount',
  },
];

/** The environment that the rows change. */
export const changedEnvironment = staging;
