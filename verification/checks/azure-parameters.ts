/** Parameters of both servers, as the control plane has them. */
import { parametersInheritedByStandby } from '../../azure/parameters.ts';
import type { ParameterFacts } from '../azure/facts.ts';
import { overAzure, overParts, serverObject, valuesOf } from '../azure/judging.ts';
import { checksOf, type Finding } from '../check.ts';
import { counted, skip } from '../outcome.ts';
import { sameValue } from '../parameters.ts';

/** Parameters that Azure sets for itself, by name or by what it calls their source. */
const azures = /^(azure\.(?!extensions)|azure_|pg_qs\.|pgms_|intelligent_tuning|index_tuning)/;

const entries = (text: string) =>
  text
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

function parameterFindings(
  parameters: readonly ParameterFacts[],
  object: string,
  find: (one: ParameterFacts) => string | undefined,
): readonly Finding[] {
  return parameters.flatMap((one) => {
    const detail = find(one);
    return detail ? [{ object: `${object}, parameter ${one.name}`, detail }] : [];
  });
}

export const checks = checksOf('azure', [
  {
    id: 'AZU-024',
    name: 'azure-parameters-match-settings',
    severity: 'high',
    title: "Every parameter has the environment's value, on both servers",
    inspects:
      "values of the servers' parameters against the settings, those that Azure keeps outside PostgreSQL (pgbouncer.*, metrics.*) included",
    why: "A value that was changed in the portal is in force and in no review; a promoted replica has its own, PgBouncer's among them.",
    remedy: 'Deploy the environment, or take the value into its file.',
    source: 'docs/decisions.md, 8; Microsoft Learn, Promote read replicas (what is not carried over)',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, expected }) => {
            const values = valuesOf(parameters);
            return Object.entries(expected.parameters).flatMap(([name, wanted]): readonly Finding[] => {
              // What is too wide or too narrow of it, AZU-027 says.
              if (name === 'azure.extensions') return [];
              const found = values.get(name);
              if (found && sameValue(found.value, wanted)) return [];
              return [
                {
                  object: `${serverObject(server)}, parameter ${name}`,
                  detail: `is ${found?.value || 'not set'}, settings say ${wanted}: az postgres flexible-server parameter set --server-name ${server.name} --name ${name} --value '${wanted}'`,
                },
              ];
            });
          },
          (_, { expected }) => counted(Object.keys(expected.parameters).length, 'parameter'),
        ),
      ),
  },
  {
    id: 'AZU-025',
    name: 'azure-parameters-need-no-restart',
    severity: 'high',
    title: 'No parameter waits for a restart, on either server',
    inspects: 'isConfigPendingRestart of every parameter',
    why: 'The next failover or maintenance puts it in force, in the middle of somebody else’s change.',
    remedy: 'llama-db post-deploy restarts once when something is pending.',
    source: 'docs/decisions.md, 9',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server }) =>
            parameterFindings(parameters, serverObject(server), ({ pendingRestart }) =>
              pendingRestart ? 'waits for a restart' : undefined,
            ),
          (parameters) => counted(parameters.length, 'parameter'),
        ),
      ),
  },
  {
    id: 'AZU-026',
    name: 'azure-parameters-known',
    severity: 'medium',
    title: 'Nobody set a parameter that the settings do not name',
    inspects: "parameters whose source is user-override and that are in no settings; Azure's own are Azure's",
    why: 'What was tried by hand stays: nobody knows why it is there, and a restored server does not have it.',
    remedy:
      'Take it into server.parameters, or set it back: az postgres flexible-server parameter set with its default.',
    source: 'docs/decisions.md, 8',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, expected }) =>
            parameterFindings(parameters, serverObject(server), (one) =>
              one.source === 'user-override' &&
              !one.readOnly &&
              !azures.test(one.name) &&
              !(one.name in expected.parameters) &&
              !sameValue(one.value, one.standard)
                ? `is ${one.value} instead of ${one.standard}, and in no settings`
                : undefined,
            ),
          (parameters) => counted(parameters.length, 'parameter'),
        ),
      ),
  },
  {
    id: 'AZU-027',
    name: 'azure-extensions-allowed',
    severity: 'medium',
    title: 'Extensions are allowed as the settings say, and no others',
    inspects: 'parameter azure.extensions of both servers',
    why: 'One that is missing fails the next deployment; one too many can be created by any administrator without a review.',
    remedy: 'Deploy the environment, or change server.extensions.',
    source: 'Microsoft Learn, Allow extensions',
    run: (input) =>
      overAzure(input, (azure) =>
        overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, expected }): readonly Finding[] => {
            const found = entries(valuesOf(parameters).get('azure.extensions')?.value ?? '');
            const wanted = entries(expected.parameters['azure.extensions'] ?? '');
            const object = `${serverObject(server)}, azure.extensions`;
            return [
              ...wanted
                .filter((name) => !found.includes(name))
                .map((name) => ({ object, detail: `does not allow ${name}` })),
              ...found
                .filter((name) => !wanted.includes(name))
                .map((name) => ({ object, detail: `allows ${name}, which the settings do not` })),
            ];
          },
          (parameters) =>
            counted(entries(valuesOf(parameters).get('azure.extensions')?.value ?? '').length, 'extension'),
        ),
      ),
  },
  {
    id: 'AZU-028',
    name: 'replica-limits',
    severity: 'high',
    title: 'The replica has at least the limits of its primary',
    inspects: parametersInheritedByStandby.join(', '),
    why: 'With less of one of them a replica does not start again after its next restart.',
    remedy: 'Raise it on the replica first, then on the primary; lower it on the primary first.',
    source: 'PostgreSQL manual, Hot Standby (administration); docs/decisions.md, 9',
    run: (input) =>
      overAzure(input, (azure) => {
        if (!azure.expected.replica) return skip('the settings have no replica');
        const writer = azure.facts.servers.find(({ role }) => role === azure.deployment.writer)?.parameters;
        if (!writer || 'unreadable' in writer) return skip(writer?.unreadable ?? 'there is no writer');
        const limits = valuesOf(writer.value);
        return overParts(
          azure,
          ({ parameters }) => parameters,
          (parameters, { server, writes }) => {
            if (writes) return [];
            const values = valuesOf(parameters);
            return parametersInheritedByStandby.flatMap((name): readonly Finding[] => {
              const [own, primary] = [Number(values.get(name)?.value), Number(limits.get(name)?.value)];
              return own < primary
                ? [
                    {
                      object: `${serverObject(server)}, parameter ${name}`,
                      detail: `is ${own}, the writer's is ${primary}`,
                    },
                  ]
                : [];
            });
          },
          () => counted(parametersInheritedByStandby.length, 'limit'),
        );
      }),
  },
]);
