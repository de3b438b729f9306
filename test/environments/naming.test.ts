import { describe, expect, it } from 'vitest';
import { resourceNames } from '../../azure/resource-names.ts';
import { parseEnvironments } from '../../environments/collection.ts';
import { naming } from '../../environments/naming.ts';
import { describeTraits, namesWith, traits } from '../../environments/traits.ts';
import { renamed } from '../support/acme.ts';
import { environments } from '../support/environments.ts';

const inputs = Object.fromEntries(environments.names.map((name) => [name, environments.inputOf(name)]));

const longest = 'a1234567890-123456789';

describe('names from the project and the environment', () => {
  it.each([
    ['the longest project and environment', longest, 'e-1234567890-1234567890-12345678'],
    ['a long environment alone', 'acme', 'e-1234567890-1234567890-12345678'],
    ['the shortest of both', 'ab', 'e'],
  ])('fit into every limit of Azure: %s', (_, name, environment) => {
    const { input } = renamed('production', { name, organization: name }, environment);
    expect(parseEnvironments([input]).map((one) => one.name)).toEqual([environment]);
  });

  it('are those of the settings of the tests', () => {
    const { input, names } = renamed(
      'production',
      { name: 'llama-mapper', organization: 'comply-ai' },
      'production',
    );
    expect({ ...input, monitoring: null }).toEqual({
      ...environments.inputOf('production'),
      tags: names.tags,
      monitoring: null,
    });
  });

  it('differ for long environments that begin alike', () => {
    const vaults = ['preproduction-east', 'preproduction-west'].map(
      (environment) => naming({ name: 'acme', organization: 'acme-data' })(environment).keyVault,
    );
    expect(new Set(vaults).size).toBe(2);
    for (const vault of vaults) expect(vault).toMatch(resourceNames['Microsoft.KeyVault/vaults']);
  });
});

describe('traits', () => {
  it('choose environments in the order of promotion, with most preferred traits first', () => {
    expect(namesWith(inputs, { needs: [] })).toEqual(environments.names);
    expect(namesWith(inputs, { needs: ['remoteState'] })).toEqual(['staging', 'production']);
    expect(namesWith(inputs, { needs: ['remoteState'], prefers: ['replica'] })).toEqual([
      'production',
      'staging',
    ]);
    expect(namesWith(inputs, { needs: ['replica', 'burstable'] })).toEqual([]);
  });

  it('each hold for an environment of the tests, and have words', () => {
    for (const [name, { words, has }] of Object.entries(traits)) {
      expect(Object.values(inputs).some(has), name).toBe(true);
      expect(words).not.toBe('');
    }
    expect(describeTraits(['replica', 'zones'])).toBe('a replica, a region with availability zones');
  });
});
