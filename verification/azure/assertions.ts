/** How a check of group azure reads its facts, and reports how a server differs from the settings. */
import type { Deployment, ExpectedAzure, ExpectedServer } from '../../database/deployment.ts';
import { type Check, type CheckInput, checksOf, type Finding, type Outcome } from '../check.ts';
import { judge, skip, unread } from '../outcome.ts';
import type { AzureFacts, ParameterFacts, Read, ServerFacts, ServerReadings } from './facts.ts';

/** Source of a check on a property that only the first deployment sets. */
export const unmanaged = 'docs/decisions.md, 8 (Terraform ignores it after the first deployment)';

export interface AzureInput {
  readonly facts: AzureFacts;
  readonly deployment: Deployment;
  readonly expected: ExpectedAzure;
}

export interface AzureCheck extends Omit<Check, 'group' | 'severity' | 'run'> {
  readonly assert: (azure: AzureInput) => Outcome;
}

export function azureChecks(checks: readonly AzureCheck[]): readonly Check[] {
  return checksOf(
    'azure',
    checks.map(({ assert, ...facts }) => ({ ...facts, run: (input) => withAzure(input, assert) })),
  );
}

/** Ends an assertion: the check is skipped for this reason. */
class Skipped extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super();
    this.outcome = outcome;
  }
}

async function withAzure(
  { azure, deployment }: CheckInput,
  assert: (azure: AzureInput) => Outcome,
): Promise<Outcome> {
  if (!deployment) return skip('no deployment is known to compare with');
  const { azure: expected } = deployment;
  if (!azure || !expected) return skip('the deployment names no Azure resource to read');
  const facts = await azure();
  if ('unreadable' in facts) return unread(facts);
  try {
    return assert({ facts: facts.value, deployment, expected });
  } catch (error) {
    if (error instanceof Skipped) return error.outcome;
    throw error;
  }
}

/** A fact of Azure. Skips the check if it could not be read. */
export function factOf<Value>(read: Read<Value>): Value {
  if ('unreadable' in read) throw new Skipped(unread(read));
  return read.value;
}

/** The setting. Skips the check if the settings leave it out. */
export function required<Value>(value: Value | undefined, name: string): Value {
  if (value === undefined) throw new Skipped(skip(`the settings have no ${name}`));
  return value;
}

/** The resources beside the servers. Skips the check for a deployment that does not record them. */
export function surroundingsOf({ deployment }: AzureInput): NonNullable<Deployment['surroundings']> {
  if (deployment.surroundings) return deployment.surroundings;
  throw new Skipped(skip('the deployment is older than this check: deploy again'));
}

/** One resource that a check compares. */
export interface Subject {
  /** As findings name it: `server llama-mapper-production`. */
  readonly object: string;
}

/** One server of the pair, with its settings. */
export interface ServerSubject extends Subject {
  readonly role: ServerReadings['role'];
  /** Whether the settings make it the writer. */
  readonly writes: boolean;
  readonly server: ServerFacts;
  readonly readings: ServerReadings;
  readonly expected: ExpectedServer;
}

/** Every server that the settings name. Skips the check if one of them could not be read. */
export function serversOf({ facts, deployment, expected }: AzureInput): readonly ServerSubject[] {
  return facts.servers.flatMap((readings) => {
    const server = factOf(readings.server);
    const wanted = expected[readings.role];
    if (!wanted) return [];
    const writes = deployment.writer === readings.role;
    return [
      { object: `server ${server.name}`, role: readings.role, writes, server, readings, expected: wanted },
    ];
  });
}

/** How a subject differs from the settings. */
export interface Difference {
  /** The part of the subject, for instance `parameter work_mem`. @default - the subject itself */
  readonly part?: string;
  readonly detail: string;
}

export function forEachSubject<Item extends Subject>(
  subjects: readonly Item[],
  differences: (item: Item) => readonly Difference[],
  inspected: (item: Item) => string,
): Outcome {
  return judge(
    subjects.map((item) => `${item.object}: ${inspected(item)}`).join('; '),
    subjects.flatMap((item): readonly Finding[] =>
      differences(item).map(({ part, detail }) => ({
        object: part ? `${item.object}, ${part}` : item.object,
        detail,
      })),
    ),
  );
}

export function forEachServer(
  azure: AzureInput,
  differences: (server: ServerSubject) => readonly Difference[],
  inspected: (server: ServerSubject) => string,
): Outcome {
  return forEachSubject(serversOf(azure), differences, inspected);
}

type PropertyValue = string | number | boolean;

/** A property of each server beside the value that it should have. */
export interface Property {
  /** As a finding names it: `auto-grow`. */
  readonly property: string;
  readonly actual: (one: ServerSubject) => PropertyValue;
  /** Undefined if the settings require nothing of this server. */
  readonly expected: (one: ServerSubject, azure: AzureInput) => PropertyValue | undefined;
  /** @default - the two are equal */
  readonly holds?: (one: ServerSubject, azure: AzureInput) => boolean;
  /** The option of `az postgres flexible-server update` that sets it. @default - the finding names no command */
  readonly option?: (expected: PropertyValue) => string;
}

/** The assertion that each of these properties has its expected value on every server. */
export function properties(...list: readonly Property[]): AzureCheck['assert'] {
  return (azure) =>
    forEachServer(
      azure,
      (one) =>
        list.flatMap(({ property, actual, expected, holds, option }) => {
          const [found, wanted] = [actual(one), expected(one, azure)];
          if (wanted === undefined || (holds ? holds(one, azure) : found === wanted)) return [];
          const command = option ? `: ${azUpdate(one.server, option(wanted))}` : '';
          return [{ detail: `${property} is ${print(found)}, expected ${print(wanted)}${command}` }];
        }),
      (one) => list.map(({ property, actual }) => `${property} ${print(actual(one))}`).join(', '),
    );
}

const print = (value: PropertyValue) => (typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value));

/** `az postgres flexible-server update …` for one server. */
function azUpdate({ id }: ServerFacts, option: string): string {
  return `az postgres flexible-server update --ids ${id} ${option}`;
}

/** The parameters of a server, by name. Skips the check if they could not be read. */
export function parametersOf({ readings }: ServerSubject): ReadonlyMap<string, ParameterFacts> {
  return new Map(factOf(readings.parameters).map((one) => [one.name, one]));
}

export const sameText = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();
