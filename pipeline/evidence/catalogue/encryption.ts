/** Encryption on the wire and at rest, and the keys. */
import { at, isObject, type Json, objectsAt, parseJson, textAt } from '../../../core/json.ts';
import type { Family } from '../control.ts';
import type { Expectation } from '../stack.ts';
import {
  attribute,
  equal,
  matching,
  notSet,
  parameter,
  pointerOf,
  resourcesOf,
  type Stack,
  type Wanted,
} from '../stack.ts';
import { isPrimary, types } from './terms.ts';

/**
 * A property of the field-encryption key, which the template of a deployment holds as JSON inside a string. The pointer
 * ends at that string; the value is the property.
 */
function keyProperty(path: readonly (string | number)[], wanted: Wanted): Expectation {
  const keyOf = (template: Json | undefined) =>
    objectsAt(template, 'resources').find((one) => textAt(one, 'type') === 'Microsoft.KeyVault/vaults/keys');
  return {
    ...wanted,
    subject: `${path.join('.')} of every key in a template deployment`,
    ifNone: 'not applicable',
    find: (stack: Stack) =>
      resourcesOf(stack, types.keyDeployment).flatMap(([name, block]) => {
        const key = keyOf(parseJson(textAt(block, 'template_content') ?? ''));
        if (!isObject(key)) return [];
        return [
          {
            pointer: pointerOf(['resource', types.keyDeployment, name, 'template_content']),
            within: pointerOf(['properties', ...path]),
            value: at(key, 'properties', ...path),
          },
        ];
      }),
  };
}

export const family: Family = {
  prefix: 'CRY',
  title: 'Encryption and keys',
  controls: [
    {
      id: 'CRY-1',
      title: 'Connections are encrypted',
      why: 'Clear text shows tokens and the rows of tenants to everyone on the way.',
      setting: 'server.parameters',
      stack: [parameter('require_secure_transport', equal('on'))],
      rules: ['parameters/encrypted-connections'],
      checks: ['SET-002', 'SET-003', 'CON-006', 'AZU-024'],
      mapped: {
        'cis-database': ['6.10'],
        'mcsb-v1': ['DP-3'],
        'mcsb-v2': ['DP-3'],
        soc2: ['CC6.6', 'CC6.7'],
        iso27001: ['A.8.24'],
        nis2: ['9.2.a'],
        fedramp: ['KSI-SVC'],
      },
    },
    {
      id: 'CRY-2',
      title: 'Connections use TLS 1.2 or newer',
      why: 'Older versions have known attacks.',
      setting: 'server.parameters',
      stack: [parameter('ssl_min_protocol_version', equal('TLSv1.2', 'TLSv1.3'))],
      checks: ['SET-002', 'AZU-024'],
      mapped: {
        'cis-database': ['6.11'],
        'mcsb-v1': ['DP-3'],
        'mcsb-v2': ['DP-3'],
        soc2: ['CC6.6', 'CC6.7'],
        iso27001: ['A.8.24'],
        nis2: ['9.2.a'],
        fedramp: ['KSI-SVC'],
      },
    },
    {
      id: 'CRY-3',
      title: "The server's disk and backups are encrypted with a key of the customer",
      why: "With Microsoft's key, nobody but Microsoft can revoke the access to the disks.",
      setting: 'server.customerManagedKey',
      stack: [
        attribute(
          types.server,
          ['customer_managed_key', 'key_vault_key_id'],
          matching('the address of a key', /^(?:https:\/\/|\$\{)/),
          { of: 'every Flexible Server' },
        ),
      ],
      rules: [
        'encryption/key-id',
        'encryption/identity-id',
        'encryption/geo-backup-key',
        'encryption/replica-key',
      ],
      unseen: [
        'Azure encrypts every disk and backup with its own key if none is given; its reports (Service Trust Portal) are the evidence.',
      ],
      mapped: {
        'cis-database': ['6.1'],
        'mcsb-v1': ['DP-5'],
        'mcsb-v2': ['DP-5'],
        soc2: ['CC6.1'],
        iso27001: ['A.8.24'],
        nis2: ['9.2.a'],
        fedramp: ['KSI-SVC'],
      },
    },
    {
      id: 'CRY-4',
      title: 'Sensitive fields are encrypted before they reach the server, with keys that the vault wraps',
      why: 'A stolen backup, or an administrator of the database, reads no encrypted field.',
      setting: 'keyVault.fieldEncryptionKey',
      stack: [keyProperty(['kty'], equal('RSA', 'RSA-HSM')), keyProperty(['keyOps', 0], equal('wrapKey'))],
      rules: ['encryption/key-size'],
      checks: ['ENC-005', 'ENC-006', 'ENC-009', 'ENC-010', 'ENC-011', 'ENC-012', 'ENC-014', 'ENC-015'],
      unseen: [
        'Which fields of a record are sensitive is decided by the application: ask for its data classification.',
      ],
      mapped: {
        'mcsb-v1': ['DP-4', 'DP-6'],
        'mcsb-v2': ['DP-4', 'DP-6'],
        soc2: ['CC6.1', 'C1.1'],
        iso27001: ['A.8.11', 'A.8.24'],
        nis2: ['9.2.a'],
        fedramp: ['KSI-SVC'],
      },
    },
    {
      id: 'CRY-5',
      title: 'The wrapping key expires and is rotated before',
      why: 'A key without an end is used until it leaks.',
      setting: 'keyVault.fieldEncryptionKey',
      stack: [
        keyProperty(['rotationPolicy', 'attributes', 'expiryTime'], matching('an ISO 8601 duration', /^P\d/)),
        keyProperty(['rotationPolicy', 'lifetimeActions', 0, 'action', 'type'], equal('rotate')),
      ],
      rules: [
        'encryption/key-duration',
        'encryption/key-life',
        'encryption/first-rotation',
        'encryption/rotation-before-expiry',
      ],
      checks: ['AZU-036', 'ENC-007', 'ENC-008'],
      mapped: {
        'cis-foundations': ['8.3.1', '8.3.9'],
        'mcsb-v1': ['DP-6'],
        'mcsb-v2': ['DP-6'],
        soc2: ['CC6.1', 'PI1.5'],
        iso27001: ['A.8.24'],
        nis2: ['9.2.c.v', '9.2.c.xii'],
        fedramp: ['KSI-SVC'],
      },
    },
    {
      id: 'CRY-6',
      title: 'A deleted vault or key can be recovered, and nobody can purge it early',
      why: 'Without the key every encrypted field is lost.',
      setting: 'keyVault',
      stack: [
        attribute(types.vault, ['purge_protection_enabled'], equal(true), {
          of: 'every key vault of the stack',
          ifNone: 'not applicable',
        }),
      ],
      rules: ['encryption/soft-delete'],
      checks: ['AZU-035'],
      mapped: {
        'cis-foundations': ['8.3.5'],
        'mcsb-v1': ['DP-8'],
        'mcsb-v2': ['DP-8'],
        soc2: ['A1.2', 'PI1.5'],
        iso27001: ['A.8.13', 'A.8.24'],
        nis2: ['9.2.c.vi'],
        fedramp: ['KSI-RPL'],
      },
    },
    {
      id: 'CRY-7',
      title: 'Access to keys is given by roles on the key, not by policies of the vault',
      why: 'An access policy covers every key of the vault and no review of roles shows it.',
      setting: 'keyVault',
      stack: [
        attribute(types.vault, ['rbac_authorization_enabled'], equal(true), {
          of: 'every key vault of the stack',
          ifNone: 'not applicable',
        }),
        attribute(types.vault, ['access_policy'], notSet, {
          of: 'every key vault of the stack',
          ifNone: 'not applicable',
        }),
        attribute(
          types.roleAssignment,
          ['role_definition_name'],
          equal('Key Vault Crypto Service Encryption User'),
          {
            of: 'every role assignment on a key',
            only: (block) => /\/keys\//.test(textAt(block, 'scope') ?? ''),
            ifNone: 'not applicable',
          },
        ),
      ],
      unseen: [
        'Assignments on the subscription or the management group are inherited: ask for an export of them.',
      ],
      mapped: {
        'cis-foundations': ['8.3.6'],
        'mcsb-v1': ['PA-7', 'DP-8'],
        'mcsb-v2': ['PA-7', 'DP-8'],
        soc2: ['CC6.1', 'CC6.3'],
        iso27001: ['A.5.15', 'A.8.24'],
        nis2: ['9.2.c.iv'],
        fedramp: ['KSI-IAM'],
      },
    },
    {
      id: 'CRY-8',
      title: 'No secret is in the synthesized stack',
      why: 'The file is in artifacts of pipelines and in this pack.',
      stack: [
        attribute(types.server, ['administrator_password'], notSet, {
          of: 'every server that is not a replica',
          only: isPrimary,
        }),
      ],
      checks: ['ENC-003', 'ENC-004', 'SET-004', 'SET-005', 'SET-021'],
      mapped: {
        'mcsb-v1': ['IM-8'],
        'mcsb-v2': ['IM-8'],
        soc2: ['CC6.1'],
        iso27001: ['A.5.17'],
        nis2: ['11.6.2'],
        fedramp: ['KSI-SVC'],
      },
    },
  ],
};
