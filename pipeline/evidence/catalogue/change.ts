/** Change: what reached the database, who approved it, and whether it is still so. */
import { at, textAt } from '../../../core/json.ts';
import type { Family } from '../control.ts';
import type { Expectation } from '../stack.ts';
import { anything, attribute, equal, matching, pointerOf } from '../stack.ts';

const fromDocument = (
  path: readonly string[],
  subject: string,
  wanted: Pick<Expectation, 'requires' | 'holds'>,
): Expectation => ({
  ...wanted,
  subject,
  ifNone: 'violated',
  find: ({ document }) => {
    const value = at(document, ...path);
    return [{ pointer: pointerOf(value === undefined ? path.slice(0, 1) : path), value }];
  },
});

export const family: Family = {
  prefix: 'CHG',
  title: 'Change',
  controls: [
    {
      id: 'CHG-1',
      title: 'The deployed database is the one of the commit',
      why: 'Reviews, tests and this pack describe the commit, not what somebody changed by hand.',
      stack: [
        attribute('terraform_data', ['triggers_replace', 'migrations'], anything, {
          of: 'the post-deploy step',
          only: (_, name) => name === 'post_deploy',
        }),
      ],
      checks: [
        'LED-001',
        'LED-002',
        'LED-003',
        'LED-004',
        'LED-005',
        'DRI-001',
        'DRI-002',
        'DRI-006',
        'DRI-007',
        'DRI-017',
        'DRI-019',
      ],
      records: ['release'],
      mapped: {
        'mcsb-v1': ['PV-2', 'DS-6'],
        'mcsb-v2': ['PV-2', 'DS-6'],
        soc2: ['CC8.1', 'CC7.1'],
        iso27001: ['A.8.9', 'A.8.32'],
        nis2: ['6.3.1', '6.4.1'],
        fedramp: ['KSI-CMT'],
      },
    },
    {
      id: 'CHG-2',
      title: 'Parameters and settings of the servers are those of the commit',
      why: 'A value that was changed in the portal is in force without a review.',
      stack: [],
      checks: ['SET-016', 'SET-020', 'AZU-024', 'AZU-026', 'AZU-009', 'AZU-011'],
      mapped: {
        'mcsb-v1': ['PV-2'],
        'mcsb-v2': ['PV-2'],
        soc2: ['CC7.1', 'CC8.1'],
        iso27001: ['A.8.9'],
        nis2: ['6.3.1'],
        fedramp: ['KSI-CMT'],
      },
    },
    {
      id: 'CHG-3',
      title: 'Each change was planned, judged and approved before it was applied',
      why: 'An auditor samples changes: request, author, other approver, plan, result.',
      stack: [],
      records: ['guard', 'release'],
      unseen: [
        'Author and approver of a change are in the pull request and in the approvals of the pipeline: sample them by the commits of the release records.',
      ],
      mapped: {
        'mcsb-v1': ['DS-6', 'PV-1'],
        'mcsb-v2': ['DS-6', 'PV-1'],
        soc2: ['CC8.1'],
        iso27001: ['A.8.32', 'A.5.3'],
        nis2: ['6.4.1'],
        fedramp: ['KSI-CMT'],
      },
    },
    {
      id: 'CHG-4',
      title: 'The versions of everything that deploys are exact',
      why: 'A version that moves deploys code that nobody has tested.',
      stack: [
        fromDocument(
          ['terraform', 'required_providers', 'azurerm', 'version'],
          'version of the azurerm provider',
          matching('an exact version', /^\d+\.\d+\.\d+$/),
        ),
      ],
      unseen: [
        'Vulnerabilities of the listed components (bom.cdx.json) change daily: ask for the report of the scanner.',
      ],
      mapped: {
        'mcsb-v1': ['DS-2', 'PV-5'],
        'mcsb-v2': ['DS-2', 'PV-5'],
        soc2: ['CC7.1', 'CC8.1'],
        iso27001: ['A.5.21', 'A.8.8'],
        nis2: ['6.1.1', '6.10.1'],
        fedramp: ['KSI-TPR'],
      },
    },
    {
      id: 'CHG-5',
      title: 'The state is shared, locked while it is written, and reached with Entra tokens only',
      why: 'Two applies at once, or a state on a laptop, lose track of resources.',
      setting: 'state',
      stack: [
        {
          ...equal(true),
          subject: 'use_azuread_auth of the azurerm backend',
          ifNone: 'violated',
          find: ({ document }) => {
            const path = ['terraform', 'backend', 'azurerm', 'use_azuread_auth'];
            const value = at(document, ...path);
            return [{ pointer: pointerOf(value === undefined ? ['terraform'] : path), value }];
          },
        },
      ],
      rules: ['operations/shared-state', 'operations/state-is-rewritable', 'across/state-account'],
      unseen: [
        'Role assignments on the storage account of the state are made by llama-db bootstrap: compare them with docs/bootstrap.md.',
      ],
      mapped: {
        'mcsb-v1': ['DS-3', 'IM-1'],
        'mcsb-v2': ['DS-3', 'IM-1'],
        soc2: ['CC6.1', 'CC8.1'],
        iso27001: ['A.8.4', 'A.8.32'],
        nis2: ['6.4.1'],
        fedramp: ['KSI-CMT'],
      },
    },
    {
      id: 'CHG-6',
      title: 'The PostgreSQL release is supported',
      why: 'An unsupported release gets no security fixes.',
      setting: 'server.version',
      stack: [
        attribute('azurerm_postgresql_flexible_server', ['version'], equal('16', '17', '18'), {
          of: 'every server that is not a replica',
          only: (block) => textAt(block, 'create_mode') !== 'Replica',
        }),
      ],
      rules: ['compute/supported-version'],
      checks: ['SET-017', 'ISO-061', 'AZU-011', 'AZU-012'],
      mapped: {
        'mcsb-v1': ['PV-6'],
        'mcsb-v2': ['PV-6'],
        soc2: ['CC7.1'],
        iso27001: ['A.8.8', 'A.8.19'],
        nis2: ['6.6.1'],
        fedramp: ['KSI-SVC'],
      },
    },
    {
      id: 'CHG-7',
      title: 'The post-deploy job runs an image that its digest names, in an environment without an entrance',
      why: 'The job logs in as an administrator, and a tag can be moved to other code.',
      stack: [
        attribute(
          'azurerm_container_app_job',
          ['template', 'container', 0, 'image'],
          matching('an image by its digest', /@sha256:[0-9a-f]{64}$/),
          { of: 'the post-deploy job', ifNone: 'not applicable' },
        ),
        attribute('azurerm_container_app_environment', ['internal_load_balancer_enabled'], equal(true), {
          of: 'the environment of the post-deploy job',
          ifNone: 'not applicable',
        }),
      ],
      rules: ['job/image-by-digest', 'job/private-server'],
      mapped: {
        'mcsb-v1': ['DS-6', 'NS-2'],
        'mcsb-v2': ['DS-6', 'NS-2'],
        soc2: ['CC6.6', 'CC8.1'],
        iso27001: ['A.8.20', 'A.8.32'],
        nis2: ['6.4.1'],
        fedramp: ['KSI-CMT'],
      },
    },
  ],
};
