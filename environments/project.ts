/** The names of the project. Every other name starts from these two, so that a copy for another project changes this file. */
import { naming } from './naming.ts';

export const project: { readonly name: string; readonly organization: string } = {
  /** Begins the names of servers, identities and roles, and is the tag `Project`. */
  name: 'llama-mapper',
  /** Begins the names of resource groups, networks, vaults, workspaces and storage accounts. */
  organization: 'comply-ai',
};

export const namesOf = naming(project);
