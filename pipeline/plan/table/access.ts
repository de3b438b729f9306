/** Rows about who may do what: roles, policies, identities, locks and groups. */
import { builtInRoles } from '../../../azure/built-in-roles.ts';
import { textAt } from '../../../core/json.ts';
import { added, calm, destroyed, nothing, replacedWithLoss, rows, unjudged, weakened } from './families.ts';
import { type About, fixed, type Judgement, type Row, sources, toggled } from './row.ts';

const lostKeys =
  'a principal loses the keys: a server or an application that unwraps with them can no longer read what they encrypt';

const access: Row[] = [
  ...rows(
    { id: 'access-policy', types: ['azurerm_key_vault_access_policy'], source: sources.vault },
    {
      granted: ['create', () => weakened('another principal may use the keys', 'MCSB PA-7')],
      changed: [
        ['*'],
        (about) =>
          about.attribute.isUnknown || added(about) > 0
            ? weakened('a principal may do more with the keys', 'MCSB PA-7')
            : { impact: 'long-outage', says: lostKeys },
      ],
      replaced: ['replace', fixed('long-outage', lostKeys)],
      revoked: ['delete', fixed('long-outage', lostKeys)],
    },
  ),
  ...rows(
    {
      id: 'federation',
      types: ['azurerm_federated_identity_credential'],
      source: sources.identities,
    },
    {
      added: ['create', () => weakened('programs of another issuer log in as the identity', 'MCSB IM-1')],
      changed: [['*'], () => weakened('other programs log in as the identity', 'MCSB IM-1')],
      replaced: ['replace', () => weakened('other programs log in as the identity', 'MCSB IM-1')],
      removed: ['delete', unjudged('programs of the issuer can no longer log in as the identity')],
    },
  ),
  ...rows(
    {
      id: 'policy',
      types: [
        'azurerm_resource_policy_assignment',
        'azurerm_resource_group_policy_assignment',
        'azurerm_subscription_policy_assignment',
      ],
      source: sources.policy,
    },
    {
      assigned: ['create', fixed('online', 'a policy of Azure judges later changes, and may refuse them')],
      tags: [['timeouts', 'description', 'display_name', 'metadata', 'non_compliance_message.*'], nothing],
      enforced: [
        ['enforce'],
        toggled(
          calm('the policy refuses what breaks it'),
          weakened('the policy only reports what breaks it'),
          'off',
        ),
      ],
      changed: [['*'], () => weakened('the policy judges in another way')],
      replaced: ['replace', () => weakened('for a moment no policy judges changes')],
      removed: ['delete', () => weakened('no policy judges changes any more')],
    },
  ),
];

const protection: Row[] = [
  ...rows(
    { id: 'lock', types: ['azurerm_management_lock'], source: sources.locks },
    {
      created: [
        'create',
        ({ change }) =>
          textAt(change.after, 'lock_level') === 'ReadOnly'
            ? calm('Azure refuses every later change below the lock, also a restart of a server')
            : { impact: 'nothing', says: 'people and programs cannot delete what it locks' },
      ],
      replaced: [
        'replace',
        () => weakened('for a moment nothing keeps people and programs from deleting what it locks'),
      ],
      removed: ['delete', () => weakened('nothing keeps people and programs from deleting what it locked')],
    },
  ),
  ...rows(
    { id: 'resource-group', types: ['azurerm_resource_group'], source: sources.resources },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts'], nothing],
      owner: [['managed_by'], unjudged('another resource manages the group, and may delete it')],
      replaced: ['replace', replacedWithLoss],
      removed: ['delete', destroyed],
    },
  ),
  ...rows(
    { id: 'identity', types: ['azurerm_user_assigned_identity'], source: sources.identities },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts'], nothing],
      replaced: [
        'replace',
        fixed(
          'unknown',
          'the plan destroys and creates the identity: its rights are gone, and a server that reads its key with it becomes inaccessible',
        ),
      ],
      removed: [
        'delete',
        fixed(
          'unknown',
          'the rights of the identity are gone; a server that reads its key with it becomes inaccessible',
        ),
      ],
    },
  ),
];

/** By the words that end the names of the roles that change, grant or delete, of any service. */
const privileged = /(?:^| )(?:Owner|Contributor|Administrator|Officer)$/i;

/** Roles that this project does not assign. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles */
const otherRoles: Readonly<Record<string, string>> = {
  '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9': 'User Access Administrator',
  'f58310d9-a9f6-439a-9e8d-f62e7b41a168': 'Role Based Access Control Administrator',
  '8b54135c-b56d-4d72-a534-26097cfdc8d8': 'Key Vault Data Access Administrator',
};

/** Name of the role; the id of one that is not known; undefined if the plan has neither. */
function roleName(side: About['change']['before']): string | undefined {
  const name = textAt(side, 'role_definition_name');
  if (name !== undefined && name !== '') return name;
  const id = textAt(side, 'role_definition_id');
  const guid = id?.split('/').at(-1)?.toLowerCase() ?? '';
  return Object.entries(builtInRoles).find(([, role]) => role.id === guid)?.[0] ?? otherRoles[guid] ?? id;
}

const isNamed = (role: string) => !role.includes('/');

function granted({ change }: About): Judgement {
  const role = roleName(change.after);
  if (role === undefined || !isNamed(role))
    return weakened('a principal gets a role that the guard does not know', 'MCSB PA-7');
  return privileged.test(role)
    ? weakened(`a principal gets ${role}`, 'MCSB PA-7')
    : calm(`a principal gets ${role}`);
}

function revoked({ change }: About): Judgement {
  const role = roleName(change.before) ?? 'a role';
  if (/^Key Vault/i.test(role))
    return {
      impact: 'long-outage',
      says: `${role} is revoked: an application that unwraps keys with it can no longer read encrypted fields`,
    };
  if (/Backup|Retention/i.test(role))
    return { impact: 'recovery-weakened', says: `${role} is revoked: backups that need it fail` };
  return {
    impact: 'unknown',
    says: `${isNamed(role) ? role : 'a role'} is revoked, and its holder may need it`,
  };
}

const roles: Row[] = rows(
  { id: 'role', types: ['azurerm_role_assignment'], source: sources.roles },
  {
    granted: ['create', granted],
    replaced: ['replace', (about) => [granted(about), revoked(about)]],
    revoked: ['delete', revoked],
    tags: [['timeouts', 'description'], nothing],
    condition: [
      ['condition', 'condition_version'],
      () => weakened('the condition of a role differs', 'MCSB PA-7'),
    ],
  },
);

export const accessRows: readonly Row[] = [...access, ...protection, ...roles];
