/** Runs the post-deploy step in the job of a deployment, and brings back its output and its exit status. */
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { nameOf } from '../../azure/resource-id.ts';
import { Fault } from '../../core/fault.ts';
import { type Json, type JsonObject, objectAt, objectsAt, textAt } from '../../core/json.ts';
import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import { type AzureAccess, signedIn } from '../../database/azure-access.ts';
import type { Deployment } from '../../database/deployment.ts';
import { type ConsoleLine, consoleQuery, readConsole } from './console.ts';
import { digestOfPostDeploy } from './files.ts';
import { exitCodeIn, jobVariables } from './inside.ts';
import { type Answer, type Ask, managerOf } from './manager.ts';

export interface JobOptions {
  readonly reporter: Reporter;
  /** Options of the command `post-deploy`. */
  readonly parameters: readonly string[];
  /** Receives the lines of the step, once they have arrived. */
  readonly onLine: (line: ConsoleLine) => void;
  /** Stops the execution. @default - never */
  readonly signal?: AbortSignal;
  /** @default - the identity that is signed in */
  readonly access?: AzureAccess;
  /** Milliseconds of the first wait between two requests, which grows to 10 s. @default 500 */
  readonly pollMs?: number;
  /** Seconds that an execution may take to start, beside its own limit. @default 600 */
  readonly startSeconds?: number;
  /** Seconds that the output may take to arrive after the end. @default 900 */
  readonly consoleSeconds?: number;
}

interface Job {
  readonly id: string;
  readonly environmentId: string;
}

type Given = Required<Pick<JobOptions, 'pollMs' | 'startSeconds' | 'consoleSeconds'>> & JobOptions;

/**
 * @throws Fault `post-deploy/job-…`: if the job does not exist, differs from the deployment, does not start, does not end in
 * time or fails. A failed step gives its exit status, and its last line as the reason.
 */
export async function runInJob(deployment: Deployment, options: JobOptions): Promise<void> {
  const { postDeployJob: job, azure } = deployment;
  if (!job) throw new Error('the deployment has no job');
  const given: Given = { pollMs: 500, startSeconds: 600, consoleSeconds: 900, ...options };
  const ask = await managerOf(options.access ?? (await signedIn()));
  const mark = randomUUID();
  const container = containerOf(await jobOf(ask, job), deployment);
  const start = performance.now();
  const execution = await startExecution(ask, job, {
    ...container,
    args: ['post-deploy', ...options.parameters],
    env: environmentOf(container, {
      LLAMA_DB_DEPLOYMENT: JSON.stringify(deployment),
      [jobVariables.mark]: mark,
      [jobVariables.files]: await digestOfPostDeploy(),
    }),
  });
  const name = nameOf(execution);
  given.reporter.line(`Started ${name}, an execution of the job ${nameOf(job.id)} inside the network`);
  const timeout = azure?.postDeployJob?.timeoutSeconds ?? 3600;
  const limit = timeout + given.startSeconds;
  const status = await ended(ask, execution, limit, given);
  const isOver = performance.now() - start >= timeout * 1000;
  const output = await consoleOf(ask, job, name, mark, given);
  for (const line of output.lines) given.onLine(line);
  const took = duration(performance.now() - start);
  judge({ name, status, output, took, isOver, limit: status === 'Timeout' ? limit : timeout });
}

async function jobOf(ask: Ask, { id }: Job): Promise<JsonObject> {
  const answer = await ask('GET', id);
  if (answer.status === 200) return answer.body;
  if (answer.status === 404)
    throw new Fault(
      'post-deploy/job-missing',
      `The post-deploy job ${nameOf(id)} does not exist`,
      `Azure answers ${answer.reason}`,
      'Deploy again: the stack creates it. If somebody deleted it, terraform plan shows it.',
    );
  throw refused(`The post-deploy job ${nameOf(id)} cannot be read`, answer);
}

function refused(what: string, { reason, status }: Answer): Fault {
  return new Fault(
    'post-deploy/job-refused',
    what,
    `Azure answers ${reason}`,
    status === 403
      ? 'Run llama-db bootstrap again: with postDeployJob in the settings it gives the identity the actions of the job.'
      : 'Correct the named reason and deploy again.',
  );
}

/** The container of a job. @throws Fault `post-deploy/job-differs` if its image is another than the deployment's */
function containerOf(job: JsonObject, { azure }: Deployment): JsonObject {
  const [container = {}] = objectsAt(job, 'properties', 'template', 'containers');
  const image = textAt(container, 'image');
  const expected = azure?.postDeployJob?.image;
  if (expected === undefined || image === expected) return container;
  throw new Fault(
    'post-deploy/job-differs',
    `The post-deploy job ${textAt(job, 'name') ?? ''} has another image than the deployment`,
    `it has ${image}, and the settings have ${expected}`,
    'Somebody changed it beside the releases: deploy again, and look for the change in its activity log.',
  );
}

function environmentOf(container: JsonObject, added: Readonly<Record<string, string>>): Json[] {
  const own = objectsAt(container, 'env').filter((one) => !(String(one['name']) in added));
  return [...own, ...Object.entries(added).map(([name, value]) => ({ name, value }))];
}

/** @returns the id of the execution */
async function startExecution(ask: Ask, { id }: Job, container: JsonObject): Promise<string> {
  // Azure names what it fills in itself, and refuses it in a start.
  const { probes: _, volumeMounts: __, ...rest } = container;
  const answer = await ask('POST', `${id}/start`, { body: { containers: [rest] } });
  const name = textAt(answer.body, 'name');
  if (answer.status >= 300 || name === undefined)
    throw refused(`The post-deploy job ${nameOf(id)} did not start`, answer);
  return `${id}/executions/${name}`;
}

const running = ['Running', 'Processing', 'Unknown'];

/** Waits until an execution has ended. @returns its status; `Timeout` after the limit, when it was stopped */
async function ended(ask: Ask, execution: string, limitSeconds: number, options: Given): Promise<string> {
  const deadline = Date.now() + limitSeconds * 1000;
  let nextLine = Date.now() + 60_000;
  for (let wait = options.pollMs; ; wait = Math.min(wait * 1.5, 10_000)) {
    const aborted = await setTimeout(wait, false, { signal: options.signal }).catch(() => true);
    if (aborted) {
      await ask('POST', `${execution}/stop`);
      throw new Fault(
        'post-deploy/job-stopped',
        `Stopped ${nameOf(execution)}, the execution of the post-deploy job`,
        'this command was interrupted',
        'Deploy again: the step continues with the migrations that are not applied.',
      );
    }
    const answer = await ask('GET', execution);
    const status = textAt(objectAt(answer.body, 'properties'), 'status') ?? 'Unknown';
    if (answer.status === 200 && !running.includes(status)) return status;
    if (answer.status === 403 || answer.status === 404)
      throw refused(`The execution ${nameOf(execution)} cannot be followed`, answer);
    if (Date.now() > deadline) {
      await ask('POST', `${execution}/stop`);
      return 'Timeout';
    }
    if (Date.now() < nextLine) continue;
    nextLine += 60_000;
    options.reporter.line(`${nameOf(execution)} is ${status}`);
  }
}

interface Output {
  readonly lines: readonly ConsoleLine[];
  /** Of the last line. @default - it has not arrived */
  readonly exitCode?: number;
  readonly unreadable?: string;
}

/** Waits until the last line has arrived, and no further one comes. */
async function consoleOf(
  ask: Ask,
  job: Job,
  execution: string,
  mark: string,
  options: Given,
): Promise<Output> {
  const deadline = Date.now() + options.consoleSeconds * 1000;
  let before = -1;
  let lines: readonly ConsoleLine[] = [];
  for (let wait = options.pollMs; ; wait = Math.min(wait * 1.5, 10_000)) {
    const read = await readConsole(ask, job.environmentId, execution);
    if ('unreadable' in read) return { lines, unreadable: read.unreadable };
    lines = read.lines;
    const status = lines.map(({ text }) => exitCodeIn(text, mark)).find((one) => one !== undefined);
    const rest = lines.filter(({ text }) => exitCodeIn(text, mark) === undefined);
    if (status !== undefined && lines.length === before) return { lines: rest, exitCode: status };
    if (Date.now() > deadline || options.signal?.aborted)
      return { lines: rest, ...(status !== undefined && { exitCode: status }) };
    before = lines.length;
    await setTimeout(wait);
  }
}

interface Ending {
  readonly name: string;
  readonly status: string;
  readonly output: Output;
  readonly took: string;
  /** Whether it took at least the time that the settings give it. */
  readonly isOver: boolean;
  /** Seconds after which it was stopped, if it was. */
  readonly limit: number;
}

function judge({ name, status, output, took, isOver, limit }: Ending): void {
  const { lines, exitCode, unreadable } = output;
  const look = `Query its output: ${consoleQuery(name)}`;
  const last = lines.filter(({ stream }) => stream === 'stderr').at(-1)?.text ?? lines.at(-1)?.text;
  if (status === 'Succeeded' && (exitCode ?? 0) === 0) {
    if (exitCode !== undefined) return;
    throw new Fault(
      'post-deploy/job-output-missing',
      `${name} succeeded, and its output did not arrive`,
      unreadable ?? 'Log Analytics has no last line of it yet',
      `${look}. The next deployment runs the step again, which then only verifies.`,
    );
  }
  if (lines.length === 0 && exitCode === undefined)
    throw new Fault(
      'post-deploy/job-silent',
      `${name} is ${status} after ${took}, and wrote nothing`,
      unreadable ?? 'its image was not pulled, its program did not start, or no machine was free',
      `Check that the identity may pull the image (AcrPull). ${look.replace('Console', 'System')}`,
    );
  // Azure calls an execution that it has ended Failed. Above 128, a signal ended the program.
  if (status === 'Timeout' || (isOver && (exitCode === undefined || exitCode > 128)))
    throw new Fault(
      'post-deploy/job-timed-out',
      `${name} was stopped after ${limit} s`,
      `its last line is: ${last}`,
      `Raise postDeployJob.timeoutMinutes, or correct the reason. ${look}`,
    );
  throw new Fault(
    'post-deploy/job-failed',
    `${name} is ${status} after ${took}${exitCode === undefined ? '' : `, with exit status ${exitCode}`}`,
    last ?? 'it gave no reason',
    'Correct the named reason and deploy again: the step continues with what is not done.',
    { exitCode: exitCode || 1 },
  );
}
