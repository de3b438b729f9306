/** A change that turns a passed control into a failed one names it; one that fails already, or never did, does not. */
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../core/json.ts';
import { controls } from '../../../pipeline/evidence/catalogue/index.ts';
import { document, guarded, resource, server } from './documents.ts';

const one: JsonObject = {
  ...server,
  backup_retention_days: 35,
  geo_redundant_backup_enabled: true,
  public_network_access_enabled: false,
  administrator_password: null,
  version: '17',
  location: 'eastus',
  authentication: [{ active_directory_auth_enabled: true, password_auth_enabled: false }],
  high_availability: [{ mode: 'ZoneRedundant' }],
};

const changed = (after: JsonObject, before: JsonObject = {}) =>
  resource({ before: { ...one, ...before }, after: { ...one, ...before, ...after } });

const parameter = (name: string, before: string, after: string) =>
  resource({
    type: 'azurerm_postgresql_flexible_server_configuration',
    address: `azurerm_postgresql_flexible_server_configuration.${name}`,
    before: { name, server_id: one['id'] ?? '', value: before },
    after: { name, server_id: one['id'] ?? '', value: after },
  });

const still = resource({ actions: ['no-op'], before: one, after: one });

/** Ids in the order of the verdicts. */
function idsOf(...changes: readonly JsonObject[]): string[] {
  const known = new Set<string>(controls.map(({ id }) => id));
  return guarded(document(changes))
    .verdicts.flatMap(({ controls: found = [] }) => found.map((text) => text.split(' ')[0] ?? ''))
    .filter((id) => known.has(id));
}

describe('a plan names the controls that it turns into failed ones', () => {
  it.each<readonly [string, string[], readonly JsonObject[]]>([
    ['a shorter retention of backups', ['REC-1'], [changed({ backup_retention_days: 7 })]],
    [
      'a shorter one that is long enough',
      [],
      [changed({ backup_retention_days: 35 }, { backup_retention_days: 36 })],
    ],
    [
      'a shorter one that was too short before',
      [],
      [changed({ backup_retention_days: 7 }, { backup_retention_days: 14 })],
    ],
    ['a public server', ['NET-1'], [changed({ public_network_access_enabled: true })]],
    [
      'password login',
      ['ACC-1'],
      [changed({ authentication: [{ active_directory_auth_enabled: true, password_auth_enabled: true }] })],
    ],
    ['connections without TLS', ['CRY-1'], [still, parameter('require_secure_transport', 'on', 'off')]],
    ['connections with TLS again', [], [still, parameter('require_secure_transport', 'off', 'on')]],
    ['a change of the size', [], [changed({ sku_name: 'GP_Standard_D8s_v3' })]],
  ])('%s: %j', (_, ids, changes) => {
    expect(idsOf(...changes)).toEqual(ids);
  });

  it('names the control of a standby that is removed', () => {
    expect(idsOf(changed({ high_availability: [] }))).toEqual(['REC-3']);
  });

  it('names the control of a lock that is removed, and not of one that never was', () => {
    const lock = { scope: one['id'] ?? '', lock_level: 'CanNotDelete', name: 'lock' };
    const type = 'azurerm_management_lock';
    const protectedServer = resource({ actions: ['no-op'], before: one, after: one });
    const ids = idsOf(protectedServer, resource({ type, actions: ['delete'], before: lock, after: null }));
    expect(ids).toEqual(['REC-5']);
    expect(idsOf(changed({ tags: { a: 'b' } }))).toEqual([]);
  });

  it('says nothing about a value that is known only after the apply', () => {
    const report = guarded(
      document([resource({ before: one, after: { ...one, version: null }, unknown: { version: true } })]),
    );
    expect(report.verdicts.flatMap(({ controls: found = [] }) => found).join()).not.toContain('CHG');
  });
});
