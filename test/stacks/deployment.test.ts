import { describe, expect, it } from 'vitest';
import { deploymentSchema } from '../../database/deployment.ts';
import { environments } from '../../environments/index.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';
import { expression, stackOf } from './stack.ts';

/** The names of all fields, also of those inside. */
function shape(value: unknown, path = ''): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value).flatMap(([key, inner]) => shape(inner, path ? `${path}.${key}` : key))
    : [path];
}

describe.each(environments())('the deployment document of $name', (settings) => {
  const local = deploymentDocument(settings, localAttributes(settings));
  const deployed = stackOf(settings.name as 'production').document.output['deployment']?.value;

  it('is what the database side expects, told either way', () => {
    expect(deploymentSchema.parse(local)).toEqual(local);
    expect(deploymentSchema.parse(deployed)).toEqual(deployed);
  });

  it('says the same in a local run as in a deployment, but for what only Azure knows', () => {
    const azures = ['primary.id', 'replica.id', 'subscriptionId', 'keyVaultUri', 'fieldEncryptionKeyId'];
    expect(shape(local).sort()).toEqual(
      shape(deployed)
        .filter((field) => !azures.includes(field) && !field.startsWith('surroundings.'))
        .sort(),
    );
    const { primary, replica, endpoints, ...rest } = local;
    expect(deployed).toMatchObject(rest);
    expect(primary.host).toBe(`${settings.server.name}.postgres.database.azure.com`);
    expect(replica?.host).toBe(settings.replica && `${settings.replica.name}.postgres.database.azure.com`);
    expect(endpoints?.writer).toBe(
      settings.virtualEndpoint && `${settings.virtualEndpoint.name}.writer.postgres.database.azure.com`,
    );
  });

  it('takes host names from the servers, not from their spelling', () => {
    expect(deployed).toMatchObject({
      primary: {
        id: expression('azurerm_postgresql_flexible_server.server.id'),
        host: expression('azurerm_postgresql_flexible_server.server.fqdn'),
      },
    });
  });
});

describe('who administers', () => {
  const [settings] = environments();
  if (!settings) throw new Error('there are no environments');
  const { authentication } = settings.server;
  const of = (change: Partial<typeof authentication>) =>
    deploymentDocument(
      { ...settings, server: { ...settings.server, authentication: { ...authentication, ...change } } },
      localAttributes(settings),
    );

  it('is the first Entra administrator, also where passwords are allowed', () => {
    expect(of({ passwordLogin: true, administratorLogin: 'llama_admin' })).toMatchObject({
      administrator: 'llama-mapper-database-admins-development',
      authentication: 'entra',
    });
  });

  it('is the administrator login where there is no Entra administrator', () => {
    expect(of({ administrators: [], passwordLogin: true, administratorLogin: 'llama_admin' })).toMatchObject({
      administrator: 'llama_admin',
      authentication: 'password',
    });
  });

  it('must be somebody', () => {
    expect(() => of({ administrators: [] })).toThrow(/development has nobody who could log in/);
  });
});
