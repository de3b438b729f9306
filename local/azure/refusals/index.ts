/** All refusals of the local Azure, in the order of docs/local-azure.md. */
import { areaOf, type RefusalArea } from '../core/refusal.ts';
import { authorization } from './authorization.ts';
import { backup } from './backup.ts';
import { blobs } from './blobs.ts';
import { containerApps } from './container-apps.ts';
import { deployments } from './deployments.ts';
import { entra, graph } from './entra.ts';
import { server } from './flexible-server.ts';
import { general } from './general.ts';
import { keyVault, vaultData } from './key-vault.ts';
import { monitoring } from './monitoring.ts';
import { network } from './network.ts';
import { replicas } from './replicas.ts';
import { children } from './server-children.ts';
import { storage } from './storage.ts';

export const refusalAreas: readonly RefusalArea[] = [
  ...[general, entra, graph, authorization, server, children, replicas],
  ...[network, keyVault, vaultData, monitoring, backup, containerApps, deployments, storage, blobs],
].map(areaOf);

/** `area: name` of each, as an answer carries it. */
export const refusalNames: readonly string[] = refusalAreas.flatMap(({ title, rows }) =>
  Object.keys(rows).map((name) => `${title}: ${name}`),
);
