/** What must differ between environments: names that are taken once in all of Azure, and where the state is. */
import type { Problem } from '../problems.ts';
import type { EnvironmentSettings } from '../settings.ts';
import { repeated, urls } from './rule.ts';

interface Taken {
  readonly environment: string;
  readonly field: string;
  readonly name: string;
}

type Taking = (
  settings: EnvironmentSettings,
) => readonly (readonly [field: string, name: string | undefined])[];

interface Uniqueness {
  readonly taking: Taking;
  readonly rule: string;
  readonly source: string;
}

const unique: readonly Uniqueness[] = [
  {
    taking: (settings) => [['name', settings.name]],
    rule: 'an environment’s name is used once: it is its stack’s id',
    source: 'docs/decisions.md, 1',
  },
  {
    taking: (settings) => [
      ['server.name', settings.server.name],
      ['replica.name', settings.replica?.name],
    ],
    rule: 'a server’s name is used once: it is the host name under postgres.database.azure.com',
    source: urls.naming,
  },
  {
    taking: (settings) => [['virtualEndpoint.name', settings.virtualEndpoint?.name]],
    rule: 'a virtual endpoint’s name is used once: it is a host name under postgres.database.azure.com',
    source: urls.endpoints,
  },
  {
    taking: (settings) => [
      ['keyVault.name', settings.keyVault.existing ? undefined : settings.keyVault.name],
    ],
    rule: 'a key vault that is created here has a name used once: it is the host name under vault.azure.net',
    source: urls.naming,
  },
  {
    taking: (settings) => [
      [
        'state.key',
        settings.state.backend === 'azurerm'
          ? `${settings.state.storageAccount}/${settings.state.container}/${settings.state.key}`
          : undefined,
      ],
    ],
    rule: 'each environment has a state of its own: in a shared one, each apply destroys the other’s resources',
    source: 'https://developer.hashicorp.com/terraform/language/backend/azurerm',
  },
];

/** Problems between environments; each names the later of the two and where the earlier is. */
export function problemsAcross(environments: readonly EnvironmentSettings[]): Problem[] {
  return unique.flatMap(({ taking, rule, source }) => {
    const taken = environments.flatMap((settings) =>
      taking(settings).flatMap(([field, name]): Taken[] =>
        name === undefined ? [] : [{ environment: settings.name, field, name }],
      ),
    );
    return repeated(taken, (one) => one.name.toLowerCase()).map(({ item }) => {
      const first = taken.find((one) => one.name.toLowerCase() === item.name.toLowerCase());
      return {
        environment: item.environment,
        field: item.field,
        value: item.name,
        rule,
        source,
        remedy: `${first?.environment} already has it as ${first?.field}.`,
      };
    });
  });
}
