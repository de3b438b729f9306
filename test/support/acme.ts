/**
 * The project as another company adopts it: other names, four environments of which none has a name of the tests, one of
 * them in a region without zones. It is a copy of the sources with the installed packages of this checkout.
 */
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { naming } from '../../environments/naming.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { inRegionWithoutZones } from '../stacks/stack.ts';
import { type EnvironmentName, environments } from './environments.ts';
import { checkout, copyProject, trackAll } from './project-copy.ts';
import { identifier, replaceEnvironments } from './scratch-environments.ts';

type Project = Parameters<typeof naming>[0];

/** Settings of the tests with every name of another project and environment. */
export function renamed(from: EnvironmentName, project: Project, environment: string) {
  const names = naming(project)(environment);
  const input = environments.inputOf(from);
  const { network, server, database, state } = input;
  Object.assign(input, { name: environment, project, tags: names.tags });
  input.resourceGroup.name = names.resourceGroup;
  if (input.recoveryResourceGroup) input.recoveryResourceGroup.name = names.recoveryResourceGroup;
  network.primary.virtualNetwork.name = names.virtualNetwork;
  network.primary.endpointSubnet.name = names.endpointSubnet;
  if (network.mode !== 'public' && network.recovery) {
    network.recovery.virtualNetwork.name = names.recoveryVirtualNetwork;
    network.recovery.endpointSubnet.name = names.endpointSubnet;
  }
  server.name = names.server;
  if (input.replica) input.replica.name = names.replica;
  if (input.virtualEndpoint) input.virtualEndpoint.name = names.virtualEndpoint;
  for (const one of [...server.authentication.administrators, ...database.logins])
    one.name = names.principal(one.name.replace('llama-mapper-', '').replace(`-${from}`, ''));
  database.name = names.database;
  input.keyVault.name = names.keyVault;
  input.logAnalytics.name = names.logAnalytics;
  Object.assign(input.monitoring.actionGroup, {
    name: names.actionGroup,
    shortName: names.actionGroupShortName,
  });
  if (input.longTermBackup) input.longTermBackup.vaultName = names.backupVault;
  if (input.budget) input.budget.name = names.budget;
  if (state.backend === 'azurerm') Object.assign(state, names.state);
  return { input, names };
}

export const acme = { name: 'ledger', organization: 'acme' };

/** By name, in the order of promotion. */
function settings(): Readonly<Record<string, EnvironmentInput>> {
  const dev = renamed('development', acme, 'dev').input;
  const preProd = renamed('staging', acme, 'pre-prod').input;
  const trial = renamed('development', acme, 'trial').input;
  const prod = renamed('production', acme, 'prod').input;
  for (const input of [dev, preProd, prod]) input.location = 'westeurope';
  inRegionWithoutZones(trial);
  delete trial.server.highAvailability;
  prod.recoveryLocation = 'northeurope';
  if (prod.replica) prod.replica.location = 'northeurope';
  return { dev, trial, 'pre-prod': preProd, prod };
}

/** Makes the copy in an empty folder. @returns the names of its environments */
export function makeAcme(folder: string): readonly string[] {
  copyProject(folder);
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'));
  const inputs = settings();
  writeFileSync(
    join(folder, 'environments/project.ts'),
    `import { naming } from './naming.ts';

export const project: { readonly name: string; readonly organization: string } = ${JSON.stringify(acme)};

export const namesOf = naming(project);
`,
  );
  const source = (name: string, input: EnvironmentInput) =>
    `import type { EnvironmentInput } from './settings.ts';

export const ${identifier(name)}: EnvironmentInput = ${JSON.stringify(input).replaceAll('comply-ai', 'acme')};
`;
  replaceEnvironments(
    folder,
    Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, source(name, input)])),
  );
  trackAll(folder);
  return Object.keys(inputs);
}
