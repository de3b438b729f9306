import { TerraformOutput } from 'cdktf';
import { describe, expect, it } from 'vitest';
import { AdoptedKeyVault, KeyVault } from '../../constructs/key-vault.ts';
import { KeyVaultKey, type KeyVaultKeyProps } from '../../constructs/key-vault-key.ts';
import { expression, synthesize } from './synthesized.ts';

const props: Omit<KeyVaultKeyProps, 'vault'> = {
  name: 'field-encryption',
  type: 'RSA-HSM',
  size: 3072,
  rotateAfter: 'P1Y',
  expireAfter: 'P2Y',
  tags: { Project: 'llama-mapper', Environment: 'test' },
  users: {
    application: { principalId: '22222222-2222-2222-2222-222222222222', principalType: 'ServicePrincipal' },
  },
};

function synthesizeKey(overrides: Partial<typeof props> = {}) {
  const synthesized = synthesize((stack) => {
    const vault = new KeyVault(stack, 'keyVault', {
      name: 'comply-ai-kv',
      resourceGroupName: 'comply-ai-rg',
      location: 'eastus',
      tenantId: '11111111-1111-1111-1111-111111111111',
      sku: 'premium',
    });
    const key = new KeyVaultKey(stack, 'fieldEncryptionKey', { ...props, vault, ...overrides });
    new TerraformOutput(stack, 'keyId', { value: key.versionlessId });
  });
  const deployment = synthesized.resource('azurerm_resource_group_template_deployment');
  return { synthesized, deployment, template: JSON.parse(String(deployment['template_content'])) };
}

describe('KeyVaultKey', () => {
  it("does not need the vault's data plane", () => {
    const { synthesized, deployment } = synthesizeKey();
    expect(synthesized.resources('azurerm_key_vault_key')).toEqual({});
    expect(synthesized.data('azurerm_key_vault_key')).toEqual({});
    expect(deployment).toMatchObject({
      name: 'key-vault-key-field-encryption',
      resource_group_name: 'comply-ai-rg',
      deployment_mode: 'Incremental',
      depends_on: ['azurerm_key_vault.keyVault'],
    });
  });

  it('creates a key that can only wrap and unwrap, rotates, and expires after a notice', () => {
    const [key] = synthesizeKey().template.resources;
    expect(key).toEqual({
      type: 'Microsoft.KeyVault/vaults/keys',
      apiVersion: '2023-07-01',
      name: 'comply-ai-kv/field-encryption',
      tags: { Environment: 'test', Project: 'llama-mapper' },
      properties: {
        kty: 'RSA-HSM',
        keySize: 3072,
        keyOps: ['wrapKey', 'unwrapKey'],
        attributes: {
          enabled: true,
          exp: "[dateTimeToEpoch(dateTimeAdd(parameters('createdAt'), 'P2Y'))]",
        },
        rotationPolicy: {
          attributes: { expiryTime: 'P2Y' },
          lifetimeActions: [
            { action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P1Y' } },
            { action: { type: 'notify' }, trigger: { timeBeforeExpiry: 'P30D' } },
          ],
        },
      },
    });
  });

  it("has the same text on every run, in the provider's order", () => {
    const { deployment, template } = synthesizeKey();
    expect(synthesizeKey().deployment['template_content']).toBe(deployment['template_content']);
    expect(
      synthesizeKey({ tags: { Environment: 'test', Project: 'llama-mapper' } }).deployment[
        'template_content'
      ],
    ).toBe(deployment['template_content']);
    expect(deployment['template_content']).toBe(JSON.stringify(sortKeys(template)));
    // Go writes these three as escapes like \u003c, which would never compare equal.
    expect(deployment['template_content']).not.toMatch(/[<>&]/);
  });

  it('returns an id without a version, which a rotation does not change', () => {
    expect(synthesizeKey().synthesized.output('keyId')).toBe(
      `${expression('trimsuffix(azurerm_key_vault.keyVault.vault_uri, "/")')}/keys/field-encryption`,
    );
  });

  it('gives its users a role on this key alone that can only wrap and unwrap', () => {
    const assignment = synthesizeKey().synthesized.resource('azurerm_role_assignment');
    expect(assignment).toMatchObject({
      scope: `${expression('azurerm_key_vault.keyVault.id')}/keys/field-encryption`,
      role_definition_name: 'Key Vault Crypto Service Encryption User',
      principal_id: '22222222-2222-2222-2222-222222222222',
      principal_type: 'ServicePrincipal',
      depends_on: ['azurerm_resource_group_template_deployment.fieldEncryptionKey'],
    });
  });

  it('assigns no role by default', () => {
    const { users: _, ...rest } = props;
    const synthesized = synthesize((stack) => {
      const vault = new AdoptedKeyVault(stack, 'keyVault', { name: 'theirs', resourceGroupName: 'other-rg' });
      new KeyVaultKey(stack, 'key', { ...rest, vault });
    });
    expect(synthesized.resources('azurerm_role_assignment')).toEqual({});
    // The key of an adopted vault is deployed into the vault's group.
    expect(synthesized.resource('azurerm_resource_group_template_deployment')).toMatchObject({
      resource_group_name: 'other-rg',
      depends_on: ['data.azurerm_key_vault.keyVault'],
    });
  });
});

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sortKeys(inner)]),
  );
}
