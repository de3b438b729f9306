import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import type { Guardian } from '../processes/guardian.ts';
import type { Account } from './account.ts';

/** A program, and the account that runs it. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** @default - this program's own user */
  readonly account?: Account | undefined;
}

/** A start that takes longer counts as failed. In milliseconds. */
const startTimeoutMs = 30_000;

/** The process of a server, one at a time (initdb, then postgres), and its log. */
export class ServerProcess {
  readonly #guardian: Guardian;
  readonly #directory: string;
  readonly #logFile: string;
  #running: Running | undefined;

  /** @param directory working directory, which the server's account must be able to enter */
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

  /** Runs a program to its end. @throws Fault with its log if it fails */
  async run(command: Command, failure: string): Promise<void> {
    const running = await this.#spawn(command);
    await running.exited;
    this.#guardian.forget();
    if (running.code() !== 0) throw refusal(failure, this.log());
  }

  /**
   * Starts a server and waits until it accepts connections.
   *
   * @param stateFile path of the postmaster.pid of the server with this process id
   * @throws PortTaken, or another Fault with the server's log
   */
  async start(command: Command, stateFile: (pid: number) => string): Promise<void> {
    const before = this.log().length;
    const server = await this.#spawn(command);
    this.#running = server;
    const deadline = Date.now() + startTimeoutMs;
    while (!isReady(server.pid, stateFile(server.pid))) {
      if (server.code() !== undefined || Date.now() > deadline) {
        await this.end('SIGQUIT');
        const text = this.log().slice(before);
        if (/could not bind IPv4 address/.test(text)) throw new PortTaken();
        throw refusal('The local PostgreSQL did not start', text);
      }
      await sleep(10);
    }
    // A running server must not keep this program alive. When the program ends, the guardian ends the server.
    server.child.unref();
  }

  /** @param signal SIGINT is PostgreSQL's fast shutdown; SIGQUIT is its immediate one, after which a start recovers */
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
      // Outside the terminal's process group, so that this program decides what Ctrl-C ends, and in which order.
      detached: true,
      stdio: ['ignore', log, log],
      // Without the caller's environment: PGDATA, PGOPTIONS or LC_ALL would change the server.
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', TZ: 'UTC' },
    });
    closeSync(log);
    // In the same tick, so that a kill of this program cannot leave a server behind.
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
  /** Exit status after the end; 1 if a signal ended it. */
  readonly code: () => number | undefined;
}

/** Another program has taken the free port. */
export class PortTaken extends Fault {
  constructor() {
    super(
      'local-postgres/port-taken',
      'The local PostgreSQL cannot listen',
      'another program has taken its port meanwhile',
      'Run the command again.',
    );
  }
}

/** Calls `start` with free loopback ports, up to five times, until it does not throw PortTaken. */
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

/** Reads the server's state from the eighth line of postmaster.pid, as pg_ctl does. */
function isReady(pid: number, stateFile: string): boolean {
  try {
    const lines = readFileSync(stateFile, 'utf8').split('\n');
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

function refusal(what: string, log: string): Fault {
  const reasons = log
    .split('\n')
    .filter((line) => /FATAL|PANIC|ERROR|error:|HINT|LOG: .*(invalid|unrecognized|could not)/.test(line))
    .map((line) => line.replace(/^.*?((FATAL|PANIC|ERROR|HINT|LOG):)/, '$1'));
  return new Fault(
    'local-postgres/program-failed',
    what,
    reasons.join('; ') || log.trim() || 'its log is empty',
    'Resolve the error named there.',
  );
}
