/** Differences that environments need: names that are unique in all of Azure, and a state of their own. */
import type { Problem } from '../problems.ts';
import { problemOf, type RuleText, repeated, urls } from '../rule.ts';
import type { EnvironmentSettings } from '../settings.ts';

/** A rule about all environments together. */
export interface UniquenessRule extends RuleText {
  /** Names that an environment takes, by their fields. */
  readonly taken: (settings: EnvironmentSettings) => Readonly<Record<string, string | undefined>>;
}

function defineUniqueness<const Id extends `across/${string}`>(
  rules: Readonly<Record<Id, UniquenessRule>>,
): Readonly<Record<Id, UniquenessRule>> {
  return rules;
}

export const acrossRules = defineUniqueness({
  'across/environment-name': {
    rule: "an environment's name is used once: it is its stack's id",
    source: 'docs/decisions.md, 1',
    taken: ({ name }) => ({ name }),
  },

  'across/server-name': {
    rule: "a server's name is used once: it is the host name under postgres.database.azure.com",
    source: urls.naming,
    taken: ({ server, replica }) => ({ 'server.name': server.name, 'replica.name': replica?.name }),
  },

  'across/virtual-endpoint-name': {
    rule: "a virtual endpoint's name is used once: it is a host name under postgres.database.azure.com",
    source: urls.endpoints,
    taken: ({ virtualEndpoint }) => ({ 'virtualEndpoint.name': virtualEndpoint?.name }),
  },

  'across/key-vault-name': {
    rule: 'the name of a key vault that is created here is used once: it is the host name under vault.azure.net',
    source: urls.naming,
    taken: ({ keyVault }) => ({ 'keyVault.name': keyVault.existing ? undefined : keyVault.name }),
  },

  'across/state-account': {
    rule: "each environment keeps its state in a storage account of its own: the name of an account is unique in all of Azure, and an identity that may write one environment's state must not reach another's",
    source: urls.naming,
    taken: ({ state }) =>
      state.backend === 'azurerm' ? { 'state.storageAccount': state.storageAccount } : {},
  },
});

/** Problems between environments. Each names the later of the two and says where the earlier one is. */
export function problemsAcross(environments: readonly EnvironmentSettings[]): Problem[] {
  return Object.entries(acrossRules).flatMap(([id, rule]) => {
    const taken = environments.flatMap((settings) =>
      Object.entries(rule.taken(settings)).flatMap(([field, name]) =>
        name === undefined ? [] : [{ environment: settings.name, field, name, key: name.toLowerCase() }],
      ),
    );
    return repeated(taken, ({ key }) => key).map(({ item: { environment, field, name, key } }) => {
      const first = taken.find((one) => one.key === key);
      const remedy = `${first?.environment} already has it as ${first?.field}.`;
      return problemOf(environment, id as keyof typeof acrossRules, rule, { field, value: name, remedy });
    });
  });
}
