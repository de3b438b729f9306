/** The ways in which one operation of a deployment goes wrong, once. */
import { Fault } from '../../core/fault.ts';
import type { AzureResponse } from '../../local/azure/index.ts';

export interface FaultKind {
  /** How tables and `--fault` name it. */
  readonly name: string;
  readonly description: string;
  /**
   * When it happens: `start` as the request arrives and before it does anything; `middle` when it is accepted and has
   * not ended; `end` when it has ended and the client does not know yet; `poll` at the first look at how it goes.
   */
  readonly moment: 'start' | 'middle' | 'end' | 'poll';
  /** What happens to the connection or to Terraform itself. */
  readonly effect: 'answer' | 'drop' | 'interrupt' | 'kill';
  /** The answer instead of the right one. @default - none: the connection is cut */
  readonly answer?: (onServer: boolean) => AzureResponse;
}

const refusal = (status: number, code: string, message: string, headers: Record<string, string> = {}) => ({
  status,
  headers: { 'x-ms-failure-cause': 'service', ...headers },
  body: { error: { code, message } },
});

/** What Azure says when it is already at work: Flexible Server's words for servers, the network's for the others. */
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
const broken = () =>
  refusal(500, 'InternalServerError', 'An unexpected error occurred while processing the request.');

export const faultKinds: readonly FaultKind[] = [
  { name: 'busy', description: '409 ServerIsBusy', moment: 'start', effect: 'answer', answer: busy },
  {
    name: 'throttled',
    description: '429 with Retry-After',
    moment: 'start',
    effect: 'answer',
    answer: throttled,
  },
  { name: 'failed', description: '500', moment: 'start', effect: 'answer', answer: broken },
  { name: 'dropped', description: 'connection cut before it was done', moment: 'start', effect: 'drop' },
  { name: 'lost', description: 'connection cut after it was done', moment: 'middle', effect: 'drop' },
  {
    name: 'poll-throttled',
    description: '429 to a poll',
    moment: 'poll',
    effect: 'answer',
    answer: throttled,
  },
  { name: 'poll-failed', description: '500 to a poll', moment: 'poll', effect: 'answer', answer: broken },
  { name: 'poll-dropped', description: 'connection of a poll cut', moment: 'poll', effect: 'drop' },
  { name: 'interrupt-start', description: 'SIGINT as it starts', moment: 'start', effect: 'interrupt' },
  { name: 'interrupt-middle', description: 'SIGINT while it runs', moment: 'middle', effect: 'interrupt' },
  { name: 'interrupt-end', description: 'SIGINT as it ends', moment: 'end', effect: 'interrupt' },
  { name: 'kill-start', description: 'SIGKILL as it starts', moment: 'start', effect: 'kill' },
  { name: 'kill-middle', description: 'SIGKILL while it runs', moment: 'middle', effect: 'kill' },
  { name: 'kill-end', description: 'SIGKILL as it ends', moment: 'end', effect: 'kill' },
];

/** @throws Fault (exit 2) for a name that is none of theirs */
export function faultKind(name: string): FaultKind {
  const found = faultKinds.find((one) => one.name === name);
  if (found) return found;
  throw new Fault(
    'faults/1',
    `There is no fault ${name}`,
    `known are ${faultKinds.map((one) => one.name).join(', ')}`,
    'Name some of them, with commas between.',
    { exitCode: 2 },
  );
}

/** Whether it ends the whole deployment rather than one request of it. */
export function endsDeployment({ effect }: FaultKind): boolean {
  return effect === 'interrupt' || effect === 'kill';
}
