import { describe, expect, it } from 'vitest';
import { deploymentSchema } from '../../database/deployment.ts';
import { parseEnvironments } from '../../environments/collection.ts';
import { resolve } from '../../environments/resolved.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';
import { withPassword } from '../environments/refused/row.ts';
import { environments } from '../support/environments.ts';
import { expression, stackOf } from './stack.ts';

/** The paths of all fields. */
function shape(value: unknown, path = ''): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => shape(inner, path ? `${path}.${key}` : key))
    : [path];
}

describe.each(environments.all())('the deployment document of $name', (environment) => {
  const local = deploymentDocument(environment, localAttributes(environment));
  const deployed = stackOf(environments.nameOf(environment.name)).document.output['deployment']?.value;

  it('has the shape that the database expects, in a local run and in a deployment', () => {
    expect(deploymentSchema.parse(local)).toEqual(local);
    expect(deploymentSchema.parse(deployed)).toEqual(deployed);
  });

  it('is the same in a local run and in a deployment, except for what only Azure knows', () => {
    const azures = ['primary.id', 'replica.id', 'subscriptionId', 'keyVaultUri', 'fieldEncryptionKeyId'];
    expect(shape(local).sort()).toEqual(
      shape(deployed)
        .filter((field) => !azures.includes(field) && !field.startsWith('surroundings.'))
        .sort(),
    );
    const { primary, replica, endpoints, ...rest } = local;
    expect(deployed).toMatchObject(rest);
    const { servers, virtualEndpoint } = environment;
    expect(primary.host).toBe(`${servers.primary.name}.postgres.database.azure.com`);
    expect(replica?.host).toBe(servers.replica && `${servers.replica.name}.postgres.database.azure.com`);
    expect(endpoints?.writer).toBe(
      virtualEndpoint && `${virtualEndpoint.name}.writer.postgres.database.azure.com`,
    );
  });

  it('takes host names from the servers, not from their names', () => {
    expect(deployed).toMatchObject({
      primary: {
        id: expression('azurerm_postgresql_flexible_server.server.id'),
        host: expression('azurerm_postgresql_flexible_server.server.fqdn'),
      },
    });
  });
});

describe('the administrator', () => {
  it('is the first Entra administrator, even if passwords are allowed', () => {
    const [settings] = parseEnvironments([withPassword]);
    if (!settings) throw new Error('parsing lost the environment');
    const environment = resolve(settings);
    expect(deploymentDocument(environment, localAttributes(environment))).toMatchObject({
      administrator: 'llama-mapper-database-admins-development',
      authentication: 'entra',
      azure: { passwordLogin: true },
    });
  });
});
