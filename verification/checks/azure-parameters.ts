/** Parameters of each server, as the control plane reports them. */

import { sizedDefaults, sizedParametersSource } from '../../azure/sized-parameters.ts';
import { skus } from '../../azure/skus.ts';
import {
  type AzureCheck,
  azureChecks,
  type Difference,
  forEachServer,
  parametersOf,
  required,
  type ServerSubject,
  serversOf,
} from '../azure/assertions.ts';
import type { ParameterFacts } from '../azure/facts.ts';
import { counted } from '../outcome.ts';
import { sameValue } from '../parameters.ts';

/** A replica does not start with less of these than its primary has. */
const inherited = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];

/** Share by which a default may differ from Azure's formula for the size. The next size differs by more. */
const sizedTolerance = 0.1;

/** The default that a new server of the size would have. Undefined for a parameter that does not follow the size. */
function defaultOfSize(name: string, { server: { sku } }: ServerSubject): number | undefined {
  const size = skus.find((one) => one.size === sku);
  return size && sizedDefaults(size)[name];
}

/** Parameters that Azure sets itself. */
const setByAzure = /^(azure\.(?!extensions)|azure_|pg_qs\.|pgms_|intelligent_tuning|index_tuning)/;

const extensionsIn = (text = '') =>
  text
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

const allowedOn = (one: ServerSubject) => extensionsIn(parametersOf(one).get('azure.extensions')?.value);

/** The assertion that no parameter of a server is at fault; `detail` says how one is. */
function eachParameter(
  detail: (parameter: ParameterFacts, one: ServerSubject) => string | undefined,
): AzureCheck['assert'] {
  return (azure) =>
    forEachServer(
      azure,
      (one) =>
        [...parametersOf(one).values()].flatMap((parameter): readonly Difference[] => {
          const found = detail(parameter, one);
          return found ? [{ part: `parameter ${parameter.name}`, detail: found }] : [];
        }),
      (one) => counted(parametersOf(one).size, 'parameter'),
    );
}

export const checks = azureChecks([
  {
    id: 'AZU-024',
    name: 'azure-parameters-match-settings',
    loses: 'review',
    title: 'The parameters of every server match the settings',
    inspects:
      'parameters of each server, including those that Azure keeps outside PostgreSQL (pgbouncer.*, metrics.*)',
    why: "A value that was changed in the portal is in force without a review. A promoted replica keeps its own values, PgBouncer's among them.",
    remedy: 'Deploy the environment, or put the value into its file.',
    source: 'docs/decisions.md, 8; Microsoft Learn, Promote read replicas (what is not carried over)',
    assert: (azure) =>
      forEachServer(
        azure,
        (one) => {
          const values = parametersOf(one);
          return Object.entries(one.expected.parameters).flatMap(([name, wanted]): readonly Difference[] => {
            // AZU-027 compares the list of extensions.
            if (name === 'azure.extensions') return [];
            const found = values.get(name);
            if (found && sameValue(found.value, wanted)) return [];
            const command = `az postgres flexible-server parameter set --server-name ${one.server.name} --name ${name} --value '${wanted}'`;
            return [
              {
                part: `parameter ${name}`,
                detail: `is ${found?.value || 'not set'}, expected ${wanted}: ${command}`,
              },
            ];
          });
        },
        ({ expected }) => counted(Object.keys(expected.parameters).length, 'parameter'),
      ),
  },
  {
    id: 'AZU-025',
    name: 'azure-parameters-need-no-restart',
    loses: 'availability',
    title: 'No parameter of any server waits for a restart',
    inspects: 'isConfigPendingRestart of every parameter',
    why: 'The next failover or maintenance applies the value, at a time that nobody chose.',
    remedy: 'Run llama-db post-deploy, which restarts once if a change is pending.',
    source: 'docs/decisions.md, 9',
    assert: eachParameter(({ pendingRestart }) => (pendingRestart ? 'waits for a restart' : undefined)),
  },
  {
    id: 'AZU-026',
    name: 'azure-parameters-known',
    loses: 'upkeep',
    title: 'Every parameter set by a user is in the settings',
    inspects: 'parameters whose source is user-override, except those that Azure sets itself',
    why: 'A value that was tried by hand stays. Nobody knows its reason, and a restored server does not have it.',
    remedy:
      'Add it to server.parameters, or reset it to its default with az postgres flexible-server parameter set.',
    source: 'docs/decisions.md, 8',
    assert: eachParameter((parameter, { expected }) =>
      parameter.source === 'user-override' &&
      !parameter.readOnly &&
      !setByAzure.test(parameter.name) &&
      !(parameter.name in expected.parameters) &&
      !sameValue(parameter.value, parameter.defaultValue)
        ? `is ${parameter.value}, default ${parameter.defaultValue}, and the settings do not set it`
        : undefined,
    ),
  },
  {
    id: 'AZU-038',
    name: 'azure-parameters-follow-size',
    loses: 'time',
    title: 'No default of any server is that of an earlier size',
    inspects:
      'parameters that Azure computes from the size at creation (shared_buffers, effective_cache_size, maintenance_work_mem, wal_buffers), if nobody set them',
    why: 'Azure computes these defaults once. A larger server keeps the small cache that it was created with, and a smaller one promises memory that it does not have.',
    remedy: 'Put the value of the finding into server.parameters, and deploy.',
    source: sizedParametersSource,
    assert: eachParameter(({ name, value, source }, one) => {
      const wanted = defaultOfSize(name, one);
      if (wanted === undefined || source !== 'system-default') return undefined;
      return Math.abs(Number(value) - wanted) > wanted * sizedTolerance
        ? `is ${value}, and a new server of size ${one.server.sku} has ${wanted}`
        : undefined;
    }),
  },
  {
    id: 'AZU-027',
    name: 'azure-extensions-allowed',
    loses: 'availability',
    title: 'The allowed extensions match the settings',
    inspects: 'parameter azure.extensions of each server',
    why: 'A missing extension fails the next deployment. Any administrator can create an extra one without a review.',
    remedy: 'Deploy the environment, or change server.extensions.',
    source: 'Microsoft Learn, Allow extensions',
    assert: (azure) =>
      forEachServer(
        azure,
        (one) => {
          const found = allowedOn(one);
          const wanted = extensionsIn(one.expected.parameters['azure.extensions']);
          const part = 'azure.extensions';
          return [
            ...wanted
              .filter((name) => !found.includes(name))
              .map((name) => ({ part, detail: `does not allow ${name}` })),
            ...found
              .filter((name) => !wanted.includes(name))
              .map((name) => ({ part, detail: `allows ${name}, which the settings do not list` })),
          ];
        },
        (one) => counted(allowedOn(one).length, 'extension'),
      ),
  },
  {
    id: 'AZU-028',
    name: 'replica-limits',
    loses: 'availability',
    title: 'The replica has at least the limits of its primary',
    inspects: inherited.join(', '),
    why: 'A replica with a lower limit does not start again after its next restart.',
    remedy: 'Raise a limit on the replica first, then on the primary; lower it on the primary first.',
    source: 'PostgreSQL manual, Hot Standby (administration); docs/decisions.md, 9',
    assert: (azure) => {
      required(azure.expected.replica, 'replica');
      const writer = required(
        serversOf(azure).find(({ writes }) => writes),
        'writer',
      );
      const limits = parametersOf(writer);
      return forEachServer(
        azure,
        (one) => {
          const values = parametersOf(one);
          return inherited.flatMap((name): readonly Difference[] => {
            const [own, primary] = [Number(values.get(name)?.value), Number(limits.get(name)?.value)];
            return own < primary
              ? [{ part: `parameter ${name}`, detail: `is ${own}, less than ${primary} on the writer` }]
              : [];
          });
        },
        () => counted(inherited.length, 'limit'),
      );
    },
  },
]);
