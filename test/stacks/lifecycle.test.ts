import { describe, expect, it } from 'vitest';
import { type Block, expression, type Stack, stackOf } from './stack.ts';

const production = stackOf('production');
const server = 'azurerm_postgresql_flexible_server.server';
const replica = 'azurerm_postgresql_flexible_server.replica';

const zones = ['zone', 'high_availability[0].standby_availability_zone'];
const roles = ['create_mode', 'source_server_id', 'replication_role', 'geo_redundant_backup_enabled'];
const disk = ['storage_mb', 'storage_tier'];

describe('the changes that Terraform ignores', () => {
  it('include those of failover, switchover and a growing disk, on both servers of a pair', () => {
    for (const address of [server, replica]) {
      expect(production.at(address)).toHaveProperty('lifecycle.ignore_changes', [
        ...zones,
        ...roles,
        ...disk,
      ]);
    }
  });

  it('include zones and disk of a server without replica, not its backups', () => {
    for (const environment of ['development', 'staging'] as const) {
      expect(stackOf(environment).at(server)).toHaveProperty('lifecycle.ignore_changes', [...zones, ...disk]);
    }
  });

  it('do not include a disk that Azure does not enlarge', () => {
    const stack = stackOf('staging', (input) => {
      input.server.storage.autoGrow = false;
    });
    expect(stack.at(server)).toHaveProperty('lifecycle.ignore_changes', zones);
    expect(stack.at(server)).toHaveProperty('auto_grow_enabled', false);
  });

  it('do not include a disk that this deployment enlarges, and a plan that would replace the server is refused', () => {
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

  it('include tags that a policy adds to any resource, and no tags of the settings', () => {
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
      // Azure compares names of tags without case, and Terraform with it.
      ...['CostCentre', 'costcentre', 'COSTCENTRE'].map((name) => `tags["${name}"]`),
    ]);
    expect(production.text).not.toContain('tags[');
  });

  it('include the source and replica of the virtual endpoint', () => {
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

  it('has standby and backups, and the other server does not', () => {
    expect(of(production.at(server))).toEqual(byRole);
    expect(of(production.at(replica))).toEqual([]);
    expect(of(switched.at(server))).toEqual([]);
    expect(of(switched.at(replica))).toEqual(byRole);
    expect(switched.at(replica)['high_availability']).toEqual(production.at(server)['high_availability']);
  });

  it('has its Entra settings, which a switchover does not transfer', () => {
    expect(production.at(replica)).not.toHaveProperty('authentication');
    expect(switched.at(replica)).toMatchObject({
      authentication: { active_directory_auth_enabled: true, password_auth_enabled: false },
    });
  });

  it('has the tag of its role', () => {
    expect(production.at(server)).toHaveProperty('tags.Role', 'primary');
    expect(production.at(replica)).toHaveProperty('tags.Role', 'read-replica');
    expect(switched.at(server)).toHaveProperty('tags.Role', 'read-replica');
  });

  it('decides which server has the alerts of a primary', () => {
    const lag = (stack: Stack) =>
      Object.keys(stack.all('azurerm_monitor_metric_alert')).filter((alert) => alert.endsWith('replica-lag'));
    expect(lag(production)).toEqual(['replica_alerts_replica-lag']);
    expect(lag(switched)).toEqual(['server_alerts_replica-lag']);
  });

  it('changes no argument that replaces a resource', () => {
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

  it("runs in the project's folder, wherever that is", () => {
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
