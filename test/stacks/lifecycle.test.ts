import { describe, expect, it } from 'vitest';
import { type Block, expression, type Stack, stackOf } from './stack.ts';

const production = stackOf('production');
const server = 'azurerm_postgresql_flexible_server.server';
const replica = 'azurerm_postgresql_flexible_server.replica';

const zones = ['zone', 'high_availability[0].standby_availability_zone'];
const roles = ['create_mode', 'source_server_id', 'replication_role', 'geo_redundant_backup_enabled'];
const disk = ['storage_mb', 'storage_tier'];

describe('what Terraform leaves alone', () => {
  it('on both servers of a pair: what failover, switchover and a growing disk change', () => {
    for (const address of [server, replica]) {
      expect(production.at(address)).toHaveProperty('lifecycle.ignore_changes', [
        ...zones,
        ...roles,
        ...disk,
      ]);
    }
  });

  it('on a server without replica: zones and disk, while backups follow the settings', () => {
    for (const environment of ['development', 'staging'] as const) {
      expect(stackOf(environment).at(server)).toHaveProperty('lifecycle.ignore_changes', [...zones, ...disk]);
    }
  });

  it('not the disk, where Azure does not enlarge it', () => {
    const stack = stackOf('staging', (input) => {
      input.server.storage.autoGrow = false;
    });
    expect(stack.at(server)).toHaveProperty('lifecycle.ignore_changes', zones);
    expect(stack.at(server)).toHaveProperty('auto_grow_enabled', false);
  });

  it('not the disk, where this deployment enlarges it; a plan that would replace the server for it is refused', () => {
    const stack = stackOf('production', (input) => {
      input.server.storage = { sizeGb: 1024, resize: true };
      input.protection = { deletionLock: 'lifted', preventDestroy: false };
    });
    for (const address of [server, replica]) {
      expect(stack.at(address)).toMatchObject({
        storage_mb: 1024 * 1024,
        auto_grow_enabled: true,
        lifecycle: { ignore_changes: [...zones, ...roles], prevent_destroy: true },
      });
    }
  });

  it('tags that a policy adds, on everything that has tags, and none of its own', () => {
    const stack = stackOf('production', (input) => {
      input.policyTags = ['CostCentre'];
    });
    const tagged = stack.addresses().filter((address) => Object.hasOwn(production.at(address), 'tags'));
    expect(tagged.length).toBeGreaterThan(10);
    for (const address of tagged)
      expect(stack.at(address)).toHaveProperty(
        'lifecycle.ignore_changes',
        expect.arrayContaining(['tags["CostCentre"]']),
      );
    expect(stack.at(server)).toHaveProperty('lifecycle.ignore_changes', [
      ...zones,
      ...roles,
      ...disk,
      'tags["CostCentre"]',
    ]);
    expect(production.text).not.toContain('tags[');
  });

  it('which server is which, on the virtual endpoint', () => {
    expect(
      production.at('azurerm_postgresql_flexible_server_virtual_endpoint.virtual_endpoint'),
    ).toHaveProperty('lifecycle.ignore_changes', ['source_server_id', 'replica_server_id']);
  });
});

describe('writer', () => {
  const switched = stackOf('production', (input) => {
    input.writer = 'replica';
  });
  const byRole = ['high_availability', 'backup_retention_days', 'geo_redundant_backup_enabled'];
  const of = (block: Block) => byRole.filter((attribute) => attribute in block);

  it('has standby and backups, the other has none', () => {
    expect(of(production.at(server))).toEqual(byRole);
    expect(of(production.at(replica))).toEqual([]);
    expect(of(switched.at(server))).toEqual([]);
    expect(of(switched.at(replica))).toEqual(byRole);
    expect(switched.at(replica)['high_availability']).toEqual(production.at(server)['high_availability']);
  });

  it('carries its Entra settings, which a switchover does not bring along', () => {
    expect(production.at(replica)).not.toHaveProperty('authentication');
    expect(switched.at(replica)).toMatchObject({
      authentication: { active_directory_auth_enabled: true, password_auth_enabled: false },
    });
  });

  it('is tagged as what it is', () => {
    expect(production.at(server)).toHaveProperty('tags.Role', 'primary');
    expect(production.at(replica)).toHaveProperty('tags.Role', 'read-replica');
    expect(switched.at(server)).toHaveProperty('tags.Role', 'read-replica');
  });

  it('decides which server is watched as the primary', () => {
    const lag = (stack: Stack) =>
      Object.keys(stack.all('azurerm_monitor_metric_alert')).filter((alert) => alert.endsWith('replica-lag'));
    expect(lag(production)).toEqual(['replica_alerts_replica-lag']);
    expect(lag(switched)).toEqual(['server_alerts_replica-lag']);
  });

  it('changes nothing that would replace a resource', () => {
    expect(switched.at(replica)).toHaveProperty('create_mode', 'Replica');
    expect(switched.at(replica)['source_server_id']).toEqual(production.at(replica)['source_server_id']);
    expect(switched.document.output['deployment']?.value).toMatchObject({ writer: 'replica' });
  });
});

describe('the post-deploy step', () => {
  const step = production.at('terraform_data.post_deploy');

  it('runs again for another database, other settings or another migration', () => {
    expect(step).toMatchObject({
      triggers_replace: {
        database_id: expression('azurerm_postgresql_flexible_server_database.database.id'),
        settings: production.document.output['deployment']?.value,
        migrations: { '0001_extensions.sql': expect.stringMatching(/^[0-9a-f]{64}$/) },
      },
    });
  });

  it('is started in the project, from wherever it was cloned', () => {
    expect(step).toMatchObject({
      provisioner: [
        {
          'local-exec': {
            command: 'node commands/llama-db.mjs post-deploy',
            working_dir: '../../..',
            environment: {
              LLAMA_DB_DEPLOYMENT: expression('jsonencode(self.triggers_replace.settings)'),
            },
          },
        },
      ],
    });
  });
});
