import { readFileSync } from 'node:fs';
import { homedir, hostname, tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { expression, stackOf } from './stack.ts';

const server = 'azurerm_postgresql_flexible_server.server';

describe('password login', () => {
  const stack = stackOf('staging', (input) => {
    Object.assign(input.server.authentication, {
      passwordLogin: true,
      administratorLogin: 'llama_admin',
      passwordVersion: 3,
    });
  });

  it('has the password only in an ephemeral variable and a write-only argument', () => {
    expect(stack.document.variable).toMatchObject({
      administrator_password: { ephemeral: true, sensitive: true, nullable: false, type: 'string' },
    });
    expect(stack.document.variable?.['administrator_password']).not.toHaveProperty('default');
    expect(stack.at(server)).toMatchObject({
      administrator_login: 'llama_admin',
      administrator_password_wo: expression('var.administrator_password'),
      administrator_password_wo_version: 3,
      authentication: { active_directory_auth_enabled: true, password_auth_enabled: true },
    });
    expect(stack.at(server)).not.toHaveProperty('administrator_password');
    expect(stack.text.split('var.administrator_password')).toHaveLength(2);
  });

  it('refuses a Terraform without write-only arguments', () => {
    expect(stack.document.terraform['required_version']).toBe('>= 1.11.0');
  });

  it('leaves nothing behind if it is off', () => {
    const off = stackOf('staging');
    expect(off.document.variable).toBeUndefined();
    expect(off.at(server)).toMatchObject({ authentication: { password_auth_enabled: false } });
    expect(Object.keys(off.at(server)).filter((name) => name.startsWith('administrator'))).toEqual([]);
  });
});

describe('customer-managed keys', () => {
  const key = (name: string) => ({
    keyId: `https://comply-ai-${name}.vault.azure.net/keys/data`,
    identityId: `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/keys/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`,
  });
  const stack = stackOf('production', (input) => {
    input.server.customerManagedKey = {
      primary: key('eastus'),
      geoBackup: key('westus'),
      replica: key('westus2'),
    };
  });

  it('encrypt server and backups with the key of their region', () => {
    expect(stack.at(server)).toMatchObject({
      customer_managed_key: {
        key_vault_key_id: key('eastus').keyId,
        primary_user_assigned_identity_id: key('eastus').identityId,
        geo_backup_key_vault_key_id: key('westus').keyId,
        geo_backup_user_assigned_identity_id: key('westus').identityId,
      },
      identity: {
        identity_ids: [
          expression('azurerm_user_assigned_identity.server_identity.id'),
          key('eastus').identityId,
          key('westus').identityId,
        ],
      },
    });
  });

  it('encrypt the replica with the key of its region', () => {
    expect(stack.at('azurerm_postgresql_flexible_server.replica')).toMatchObject({
      customer_managed_key: {
        key_vault_key_id: key('westus2').keyId,
        primary_user_assigned_identity_id: key('westus2').identityId,
      },
    });
  });

  it('are absent if Azure manages the keys', () => {
    expect(stackOf('production').text).not.toContain('customer_managed_key');
  });
});

describe.each(['development', 'staging', 'production'] as const)('%s', (environment) => {
  const { text, document } = stackOf(environment);

  it('contains no path and no name of the machine that synthesized', () => {
    for (const place of [process.cwd(), homedir(), tmpdir(), hostname()]) {
      expect(text).not.toContain(`${place}/`);
      expect(text).not.toContain(`"${place}"`);
    }
    expect(text).not.toMatch(/"(\/(home|root|Users|tmp|var|work)\/|[A-Z]:\\\\)/);
  });

  it('sets no secret argument', () => {
    const secret = /"(\w*(password|secret|shared_key|access_key|connection_string|sas_token)\w*)":\s*"/gi;
    const names = [...text.matchAll(secret)].map(([, name]) => name);
    expect(names).toEqual([]);
  });

  it('keeps its state in the backend of the settings, without an account key', () => {
    expect(document.terraform['required_providers']).toEqual({
      azurerm: { source: 'azurerm', version: providerVersion() },
    });
    expect(document.terraform['backend']).toEqual(
      environment === 'development'
        ? { local: { path: '../../../development.tfstate' } }
        : {
            azurerm: {
              container_name: `llama-mapper-${environment}`,
              key: 'llama-mapper.tfstate',
              resource_group_name: `comply-ai-${environment}-state-rg`,
              storage_account_name: `complyaistate${environment}`,
              use_azuread_auth: true,
            },
          },
    );
  });
});

/** The version the bindings were generated from. */
function providerVersion(): string {
  const bindings: { cdktf: { provider: { version: string } } } = JSON.parse(
    readFileSync('node_modules/@cdktf/provider-azurerm/package.json', 'utf8'),
  );
  return bindings.cdktf.provider.version;
}
