/** How checks of group azure come to their facts, and what they have in common. */
import type { ServerRole } from '../../azure/vocabulary.ts';
import type { Deployment, ExpectedAzure, ExpectedServer } from '../../database/deployment.ts';
import type { CheckInput, Finding, Outcome } from '../check.ts';
import { judge, skip } from '../outcome.ts';
import type { AzureFacts, ParameterFacts, Read, ServerFacts, ServerReadings } from './facts.ts';

/** Source of checks that look at what Terraform does not. */
export const leftToAzure =
  'docs/decisions.md, 8 (Terraform ignores it after the first deployment; verification compares it)';

type Surroundings = NonNullable<Deployment['surroundings']>;

export interface AzureInput {
  readonly facts: AzureFacts;
  readonly deployment: Deployment;
  readonly expected: ExpectedAzure;
}

/** Judges what was read of Azure; skipped with the reason where nothing was, or not this part of it. */
export async function overAzure(
  { azure, deployment }: CheckInput,
  find: (input: AzureInput) => Outcome,
): Promise<Outcome> {
  if (!deployment) return skip('no deployment is known to compare with');
  const { azure: expected } = deployment;
  if (!azure || !expected) return skip('nobody asked Azure: the deployment names no resource of it');
  const facts = await azure();
  if ('unreadable' in facts) return skip(facts.unreadable);
  return find({ facts: facts.value, deployment, expected });
}

/** One server of the pair with what the settings say of it. */
export interface Pairing {
  readonly role: ServerRole;
  readonly writes: boolean;
  readonly server: ServerFacts;
  readonly readings: ServerReadings;
  readonly expected: ExpectedServer;
}

/** Judges every server that could be read; skipped where one could not. */
export function overServers(
  { facts, deployment, expected }: AzureInput,
  find: (pairing: Pairing) => readonly Finding[],
  inspected: (pairing: Pairing) => string,
): Outcome {
  const pairings: Pairing[] = [];
  for (const readings of facts.servers) {
    if ('unreadable' in readings.server) return skip(readings.server.unreadable);
    const wanted = expected[readings.role];
    if (!wanted) continue;
    pairings.push({
      role: readings.role,
      writes: deployment.writer === readings.role,
      server: readings.server.value,
      readings,
      expected: wanted,
    });
  }
  return judge(
    pairings.map((one) => `${one.server.name}: ${inspected(one)}`).join('; '),
    pairings.flatMap(find),
  );
}

/** The same over a part of each server's readings. */
export function overParts<Value>(
  input: AzureInput,
  part: (readings: ServerReadings) => Read<Value>,
  find: (value: Value, pairing: Pairing) => readonly Finding[],
  inspected: (value: Value, pairing: Pairing) => string,
): Outcome {
  for (const readings of input.facts.servers) {
    const read = part(readings);
    if ('unreadable' in read) return skip(read.unreadable);
  }
  const partOf = (pairing: Pairing): Value => {
    const read = part(pairing.readings);
    if ('unreadable' in read) throw new Error(read.unreadable);
    return read.value;
  };
  return overServers(
    input,
    (pairing) => find(partOf(pairing), pairing),
    (pairing) => inspected(partOf(pairing), pairing),
  );
}

/** Judges one thing of the surroundings. */
export function overPart<Value>(read: Read<Value>, find: (value: Value) => Outcome): Outcome {
  return 'unreadable' in read ? skip(read.unreadable) : find(read.value);
}

export function overSurroundings(
  { deployment }: AzureInput,
  find: (surroundings: Surroundings) => Outcome,
): Outcome {
  return deployment.surroundings
    ? find(deployment.surroundings)
    : skip('the deployment is older than this check: deploy again');
}

export const serverObject = ({ name }: ServerFacts) => `server ${name}`;

/** The values in force, by name. */
export function valuesOf(parameters: readonly ParameterFacts[]): ReadonlyMap<string, ParameterFacts> {
  return new Map(parameters.map((one) => [one.name, one]));
}

/** `az postgres flexible-server update …` for one server. */
export function azUpdate({ id }: ServerFacts, change: string): string {
  return `az postgres flexible-server update --ids ${id} ${change}`;
}

export const sameText = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();
