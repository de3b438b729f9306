import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import type { Account } from './account.ts';
import type { Guardian } from './guardian.ts';

/** A program to run, and as whom. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** @default - this program's own user */
  readonly account?: Account | undefined;
}

/** Longest a start may take before it counts as failed, in milliseconds. */
const patience = 30_000;

/** The one process of a server at a time (initdb, then postgres), its log, and its end. */
export class ServerProcess {
  readonly #guardian: Guardian;
  readonly #directory: string;
  readonly #logFile: string;
  #running: Running | undefined;

  /** @param directory working directory, which the server's account can enter */
  constructor(guardian: Guardian, directory: string, logFile: string) {
    this.#guardian = guardian;
    this.#directory = directory;
    this.#logFile = logFile;
    closeSync(openSync(logFile, 'a', 0o600));
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** Runs a program to its end. @throws Fault with what it said when it fails */
  async run(command: Command, failure: string): Promise<void> {
    const running = await this.#spawn(command);
    await running.exited;
    this.#guardian.forget();
    if (running.code() !== 0) throw refusal(failure, this.log());
  }

  /**
   * Starts a server and waits until it accepts connections.
   *
   * @param stateFile where the server of that process id keeps its postmaster.pid
   * @throws PortTaken or another Fault with what the server said
   */
  async start(command: Command, stateFile: (pid: number) => string): Promise<void> {
    const before = this.log().length;
    const server = await this.#spawn(command);
    this.#running = server;
    const deadline = Date.now() + patience;
    while (!isReady(server.pid, stateFile(server.pid))) {
      if (server.code() !== undefined || Date.now() > deadline) {
        await this.end('SIGQUIT');
        const said = this.log().slice(before);
        if (/could not bind IPv4 address/.test(said)) throw new PortTaken();
        throw refusal('The local PostgreSQL did not start', said);
      }
      await sleep(10);
    }
    // A running server alone must not keep the program from ending; the guardian ends the server then.
    server.child.unref();
  }

  /** @param signal SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one: the next start recovers */
  async end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    running.child.ref();
    running.child.kill(signal);
    await running.exited;
    this.#guardian.forget();
  }

  async #spawn({ program, args, account }: Command): Promise<Running> {
    const log = openSync(this.#logFile, 'a', 0o600);
    const child = spawn(program, args, {
      ...account,
      cwd: this.#directory,
      // Out of the terminal's process group: Ctrl-C is this program's to handle, in its own order.
      detached: true,
      stdio: ['ignore', log, log],
      // Nothing of the caller's environment: PGDATA, PGOPTIONS or LC_ALL would change the server.
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
    });
    closeSync(log);
    // In the tick that made the process: a program killed in the next one leaves no server behind.
    if (child.pid !== undefined) this.#guardian.watch(child.pid);
    let code: number | undefined;
    const exited = new Promise<void>((resolve) => {
      child.once('exit', (status) => {
        code = status ?? 1;
        resolve();
      });
    });
    try {
      await once(child, 'spawn');
    } catch (cause) {
      throw refusal(`The local PostgreSQL cannot execute ${program}`, String(cause));
    }
    return { child, pid: Number(child.pid), exited, code: () => code };
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly exited: Promise<void>;
  /** Exit status once it has ended; 1 when a signal ended it. */
  readonly code: () => number | undefined;
}

/** Somebody else listens on the port that was free a moment ago. */
export class PortTaken extends Fault {
  constructor() {
    super(
      'local-postgres/port-taken',
      'The local PostgreSQL cannot listen',
      'another program took its port in the meantime',
      'Try again.',
    );
  }
}

/** Calls with free loopback ports until one is still free when the server listens on it. */
export async function onFreePort(start: (port: number) => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await start(await freePort());
      return;
    } catch (error) {
      if (attempt === 5 || !(error instanceof PortTaken)) throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('a listening socket has a port');
  return address.port;
}

/** As pg_ctl does: the eighth line of postmaster.pid is the server's state. */
function isReady(pid: number, stateFile: string): boolean {
  try {
    const lines = readFileSync(stateFile, 'utf8').split('\n');
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

function refusal(what: string, said: string): Fault {
  const reasons = said
    .split('\n')
    .filter((line) => /FATAL|PANIC|ERROR|error:|HINT|LOG: .*(invalid|unrecognized|could not)/.test(line))
    .map((line) => line.replace(/^.*?((FATAL|PANIC|ERROR|HINT|LOG):)/, '$1'));
  return new Fault(
    'process/1',
    what,
    reasons.join('; ') || said.trim() || 'it said nothing',
    'Mend what is named there.',
  );
}
