import { describe, expect, it } from 'vitest';
import { AdoptedKeyVault, KeyVault, type KeyVaultProps } from '../../constructs/key-vault.ts';
import { expression, synthesize } from './synthesized.ts';

const props: KeyVaultProps = {
  name: 'comply-ai-kv',
  resourceGroupName: 'comply-ai-rg',
  location: 'eastus',
  tenantId: '11111111-1111-1111-1111-111111111111',
  sku: 'premium',
  tags: { Environment: 'test' },
};

describe('KeyVault', () => {
  it('is closed to the internet, role-based, and recoverable', () => {
    const vault = synthesize((stack) => new KeyVault(stack, 'keyVault', props)).resource('azurerm_key_vault');
    expect(vault).toMatchObject({
      name: 'comply-ai-kv',
      sku_name: 'premium',
      public_network_access_enabled: false,
      network_acls: { default_action: 'Deny', bypass: 'None' },
      rbac_authorization_enabled: true,
      purge_protection_enabled: true,
      soft_delete_retention_days: 90,
      tags: { Environment: 'test' },
    });
    expect(vault).not.toHaveProperty('access_policy');
    expect(vault).not.toHaveProperty('contact');
  });

  it('admits trusted services only for a server that is encrypted with its key', () => {
    const vault = synthesize(
      (stack) => new KeyVault(stack, 'keyVault', { ...props, trustedServices: true }),
    ).resource('azurerm_key_vault');
    expect(vault['network_acls']).toEqual({ default_action: 'Deny', bypass: 'AzureServices' });
    expect(vault['public_network_access_enabled']).toBe(false);
  });

  it('has the same name in Terraform as in the stack, without a hash', () => {
    const synthesized = synthesize((stack) => new KeyVault(stack, 'keyVault', props));
    expect(Object.keys(synthesized.resources('azurerm_key_vault'))).toEqual(['keyVault']);
  });
});

describe('AdoptedKeyVault', () => {
  const synthesized = synthesize(
    (stack) =>
      new AdoptedKeyVault(stack, 'keyVault', {
        name: 'comply-ai-keyvault',
        resourceGroupName: 'comply-ai-rg',
      }),
  );

  it('creates nothing', () => {
    expect(synthesized.resources('azurerm_key_vault')).toEqual({});
    expect(synthesized.onlyData('azurerm_key_vault')).toMatchObject({
      name: 'comply-ai-keyvault',
      resource_group_name: 'comply-ai-rg',
    });
  });

  it('refuses a vault with access policies, without purge protection, or open to the internet', () => {
    const { postcondition } = synthesized.onlyData('azurerm_key_vault')['lifecycle'] as {
      postcondition: { condition: string; error_message: string }[];
    };
    expect(postcondition.map(({ condition }) => condition)).toEqual([
      expression('self.rbac_authorization_enabled'),
      expression('self.purge_protection_enabled'),
      expression(
        '!self.public_network_access_enabled || try(self.network_acls[0].default_action, "Allow") == "Deny"',
      ),
    ]);
    for (const { error_message } of postcondition) {
      expect(error_message).toMatch(
        /^Key Vault comply-ai-keyvault in comply-ai-rg cannot be adopted: .+ \(PSRule AZR-\d{6}\)\. Run `az keyvault update /,
      );
    }
  });
});
