import { describe, expect, it } from 'vitest';
import { deviations } from '../../../local/azure/published/deviations.ts';
import { published, publishedAt, publishedShape } from '../../../local/azure/published/shapes.ts';

describe('a published shape', () => {
  it('is that of twelve types', () => {
    expect(Object.keys(published)).toHaveLength(12);
    expect(() => publishedShape('Microsoft.Network/virtualNetworks')).toThrow(
      'no client describes Microsoft.Network/virtualNetworks',
    );
  });

  it('marks what only Azure writes, and names what a client may send', () => {
    const shape = publishedShape('Microsoft.DBforPostgreSQL/flexibleServers');
    expect(shape).toMatchObject({
      sku: { name: 'any', tier: 'any' },
      properties: {
        fullyQualifiedDomainName: 'readOnly',
        administratorLoginPassword: 'any',
        storage: { storageSizeGB: 'any', autoGrow: 'any', tier: 'any' },
        highAvailability: { mode: 'any', state: 'readOnly' },
      },
    });
    expect(shape['properties']).not.toHaveProperty('cluster');
  });

  it.each(deviations)('deviates at $path of $type, because $reason', ({ type, path, shape }) => {
    const before = publishedAt(type, path);
    expect(before).not.toEqual(shape === 'absent' ? undefined : shape);
  });
});
