/** Rows about the whole server and about what belongs to it. */

import { textAt } from '../../../core/json.ts';
import { serverType } from '../context.ts';
import { goneWith } from './families.ts';
import { type About, fateOf, fixed, type Judgement, type Row, sources } from './row.ts';

const gone = (about: About): boolean =>
  about.context.facts.drift.some(
    ({ address, action }) => address === about.change.address && action === 'delete',
  );

function serverCreated(about: About): Judgement[] {
  const { server, context } = about;
  if (gone(about))
    return [
      {
        impact: 'data-loss',
        says: 'the server is no longer in Azure, and the plan makes an empty one in its place',
      },
    ];
  if (!server) return [];
  const found: Judgement[] = [];
  if (server.isBurstable('after') && server.standby('after') !== undefined)
    found.push({ impact: 'refused-by-azure', says: 'a Burstable server has no high availability' });
  if (!context.isReplica(server)) {
    found.push({ impact: 'nothing', says: 'a new server, which holds nothing yet' });
    return found;
  }
  const primary = context.primaryOf(server);
  if (primary?.isBurstable('before'))
    found.push({ impact: 'refused-by-azure', says: 'Azure makes no replica of a Burstable server' });
  if (server.standby('after') !== undefined)
    found.push({ impact: 'refused-by-azure', says: 'a replica has no high availability' });
  found.push({
    impact: 'online',
    says: `a replica is copied from ${primary?.name ?? 'its primary'}, which accepts no other change meanwhile`,
  });
  found.push({ impact: 'cost', says: 'one more server', factor: { of: 'server', by: 2 } });
  return found;
}

function serverLost(about: About, replaced: boolean): Judgement[] {
  const { server, context, change } = about;
  const replica = server && !change.isDeposed && context.isReplica(server);
  if (server && replica && change.before['replication_role'] !== 'None')
    return [
      {
        impact: 'long-outage',
        says: replaced
          ? 'the plan destroys and creates the replica: its readers have no server until the copy is complete'
          : 'the replica is destroyed: its readers have no server',
      },
      ...(replaced
        ? []
        : [{ impact: 'recovery-weakened', says: 'no replica can take over in another region' } as const]),
    ];
  const restored = ['PointInTimeRestore', 'GeoRestore'].includes(textAt(change.after, 'create_mode') ?? '');
  const says = change.isDeposed
    ? 'the plan destroys the old server of an interrupted replacement, with its databases and backups'
    : replaced
      ? `the plan destroys and creates the server: ${goneWith(serverType)}, and the new one is ${restored ? 'a restore of an earlier time' : 'empty'}`
      : `the plan destroys the server: ${goneWith(serverType)}`;
  const replicas = server && !change.isDeposed ? context.replicasOf(server).filter((one) => one.stays) : [];
  return [
    { impact: 'data-loss', says },
    ...(replicas.length > 0
      ? [{ impact: 'refused-by-azure', says: 'its replicas must be deleted first' } as const]
      : []),
  ];
}

const database = `${serverType}_database`;
const administrator = `${serverType}_active_directory_administrator`;
const firewall = `${serverType}_firewall_rule`;
const endpoint = `${serverType}_virtual_endpoint`;
const backup = `${serverType}_backup`;

/** Addresses of an IPv4 range as numbers. */
function rangeOf(values: About['change']['before']): readonly [number, number] {
  const number = (text: string | undefined) =>
    (text ?? 'unknown').split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return [number(textAt(values, 'start_ip_address')), number(textAt(values, 'end_ip_address'))];
}

const opened = (says: string): Judgement => ({
  impact: 'security-weakened',
  says,
  controls: ['CKV2_AZURE_26', 'MCSB NS-2'],
});

function firewallChanged({ change, attribute }: About): Judgement {
  const [[from, to], [start, end]] = [rangeOf(change.before), rangeOf(change.after)];
  if (attribute.isUnknown || !(start >= from && end <= to)) return opened('more addresses reach the server');
  return {
    impact: 'online',
    says: 'clients of the removed addresses lose their connection at the next login',
  };
}

const row = (id: string, type: string, on: Row['on'], source: Row['source'], judge: Row['judge']): Row => ({
  id,
  type,
  on,
  source,
  judge,
});

/** A row about what goes with its server, if that is made, replaced or destroyed. */
const ofServer: typeof row = (id, type, on, source, judge) =>
  row(id, type, on, source, (about) => fateOf(about.server) ?? judge(about));

export const childRows: readonly Row[] = [
  row('server/created', serverType, 'create', sources.provider, serverCreated),
  row('server/replaced', serverType, 'replace', sources.provider, (about) => serverLost(about, true)),
  row('server/destroyed', serverType, 'delete', sources.provider, (about) => serverLost(about, false)),

  row('database/created', database, 'create', sources.children, (about) =>
    gone(about)
      ? {
          impact: 'data-loss',
          says: 'the database is no longer in Azure, and the plan makes an empty one in its place',
        }
      : { impact: 'online', says: 'an empty database' },
  ),
  row('database/replaced', database, 'replace', sources.children, () => [
    {
      impact: 'data-loss',
      says: `the plan destroys and creates the database: ${goneWith(database)}`,
    },
  ]),
  row('database/destroyed', database, 'delete', sources.children, () => [
    { impact: 'data-loss', says: `the plan destroys the database: ${goneWith(database)}` },
  ]),

  ofServer('administrator/added', administrator, 'create', sources.children, ({ change }) => ({
    impact: 'security-weakened',
    says: `${textAt(change.after, 'principal_name') ?? 'another principal'} becomes an administrator of the server`,
    controls: ['MCSB PA-7'],
  })),
  ofServer('administrator/removed', administrator, 'delete', sources.children, (about) => [
    {
      impact: 'online',
      says: `${textAt(about.change.before, 'principal_name') ?? 'a principal'} can no longer log in as an administrator`,
    },
  ]),
  ofServer('administrator/replaced', administrator, 'replace', sources.children, (about) => [
    {
      impact: 'security-weakened',
      says: `${textAt(about.change.after, 'principal_name') ?? 'another principal'} becomes an administrator; for a moment the server has one less`,
      controls: ['MCSB PA-7'],
    },
  ]),

  ofServer('firewall/added', firewall, 'create', sources.firewall, ({ change }) => {
    const [start, end] = rangeOf(change.after);
    // https://learn.microsoft.com/azure/postgresql/security/security-firewall-rules: 0.0.0.0 stands for Azure.
    return opened(
      start === 0 && end === 0
        ? 'programs in Azure reach the server, also those of other customers'
        : start === 0 && end === 2 ** 32 - 1
          ? 'the whole internet reaches the server'
          : 'more addresses reach the server',
    );
  }),
  ofServer(
    'firewall/range',
    firewall,
    ['start_ip_address', 'end_ip_address'],
    sources.firewall,
    firewallChanged,
  ),
  ofServer('firewall/removed', firewall, 'delete', sources.firewall, () => [
    { impact: 'online', says: 'its addresses no longer reach the server' },
  ]),
  ofServer('firewall/replaced', firewall, 'replace', sources.firewall, ({ change, context }) => {
    const [[from, to], [start, end]] = [rangeOf(change.before), rangeOf(change.after)];
    const sameServer =
      context.byId(textAt(change.before, 'server_id')) === context.byId(textAt(change.after, 'server_id'));
    return sameServer && start >= from && end <= to
      ? {
          impact: 'online',
          says: 'the rule is removed and made again: its addresses cannot log in for a moment',
        }
      : opened('the rule is removed and made again, with its new addresses');
  }),

  row('virtual-endpoint/created', endpoint, 'create', sources.endpoints, fixed('nothing', 'a new host name')),
  row(
    'virtual-endpoint/replica',
    endpoint,
    ['replica_server_id'],
    sources.endpoints,
    fixed('online', "the reader's host name leads to another server; open connections stay where they are"),
  ),
  row('virtual-endpoint/replaced', endpoint, 'replace', sources.endpoints, () => [
    {
      impact: 'long-outage',
      says: "the plan destroys and creates the applications' host names: they lead nowhere until DNS has the new ones",
    },
  ]),
  row('virtual-endpoint/removed', endpoint, 'delete', sources.endpoints, () => [
    { impact: 'long-outage', says: "the applications' host names lead nowhere" },
  ]),

  row('backup/taken', backup, 'create', sources.backup, fixed('online', 'a backup on demand')),
  row(
    'backup/removed',
    backup,
    'delete',
    sources.backup,
    fixed('recovery-weakened', 'a backup on demand is removed'),
  ),
  row(
    'backup/replaced',
    backup,
    'replace',
    sources.backup,
    fixed('recovery-weakened', 'a backup on demand is removed, and another one is taken'),
  ),
];
