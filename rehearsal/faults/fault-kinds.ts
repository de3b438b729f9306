/** The kinds of faults that fault injection makes happen to an operation, once each. */
import { Fault } from '../../core/fault.ts';
import type { AzureResponse } from '../../local/azure/index.ts';

export interface FaultKind {
  /** Its name in tables and in `--fault`. */
  readonly name: string;
  readonly description: string;
  /**
   * When it happens: `start`, when the request arrives and before it has an effect; `middle`, after Azure has accepted
   * it and before it has ended; `end`, after it has ended and before the client knows; `poll`, at the first poll.
   */
  readonly moment: 'start' | 'middle' | 'end' | 'poll';
  /** The effect on the connection, or on Terraform itself. */
  readonly effect: 'answer' | 'drop' | 'interrupt' | 'kill';
  /** The answer in place of the right one. @default - none: the connection is cut */
  readonly answer?: (onServer: boolean) => AzureResponse;
}

const refusal = (status: number, code: string, message: string, headers: Record<string, string> = {}) => ({
  status,
  headers: { 'x-ms-failure-cause': 'service', ...headers },
  body: { error: { code, message } },
});

/** Azure's answer while another operation runs. Flexible Server and the network have words of their own. */
function busy(onServer: boolean): AzureResponse {
  return onServer
    ? refusal(409, 'ServerIsBusy', 'The server is busy processing another operation. Please try again later.')
    : refusal(
        409,
        'AnotherOperationInProgress',
        'Another operation on this or dependent resource is in progress.',
      );
}

const throttled = () =>
  refusal(429, 'TooManyRequests', 'The request is throttled. Please retry after 1 second.', {
    'retry-after': '1',
  });
const failed = () =>
  refusal(500, 'InternalServerError', 'An unexpected error occurred while processing the request.');

type Row = readonly [
  name: string,
  description: string,
  moment: FaultKind['moment'],
  effect: FaultKind['effect'],
  answer?: FaultKind['answer'],
];

const rows: readonly Row[] = [
  ['busy', '409 ServerIsBusy', 'start', 'answer', busy],
  ['throttled', '429 with Retry-After', 'start', 'answer', throttled],
  ['failed', '500', 'start', 'answer', failed],
  ['dropped', 'connection cut before the operation', 'start', 'drop'],
  ['lost', 'connection cut after the operation', 'middle', 'drop'],
  ['poll-throttled', '429 to a poll', 'poll', 'answer', throttled],
  ['poll-failed', '500 to a poll', 'poll', 'answer', failed],
  ['poll-dropped', 'connection of a poll cut', 'poll', 'drop'],
  ['interrupt-start', 'SIGINT as the operation starts', 'start', 'interrupt'],
  ['interrupt-middle', 'SIGINT while the operation runs', 'middle', 'interrupt'],
  ['interrupt-end', 'SIGINT as the operation ends', 'end', 'interrupt'],
  ['kill-start', 'SIGKILL as the operation starts', 'start', 'kill'],
  ['kill-middle', 'SIGKILL while the operation runs', 'middle', 'kill'],
  ['kill-end', 'SIGKILL as the operation ends', 'end', 'kill'],
];

export const faultKinds: readonly FaultKind[] = rows.map(([name, description, moment, effect, answer]) => ({
  name,
  description,
  moment,
  effect,
  ...(answer ? { answer } : {}),
}));

/** @throws Fault with exit status 2 if no kind has this name */
export function faultKind(name: string): FaultKind {
  const found = faultKinds.find((one) => one.name === name);
  if (found) return found;
  throw new Fault(
    'rehearsal/unknown-fault',
    `There is no fault ${name}`,
    `the known faults are ${faultKinds.map((one) => one.name).join(', ')}`,
    'Name some of them, separated by commas.',
    { exitCode: 2 },
  );
}

/** Whether it ends the whole deployment rather than one of its requests. */
export function endsDeployment({ effect }: FaultKind): boolean {
  return effect === 'interrupt' || effect === 'kill';
}
