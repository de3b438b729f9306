/** A TCP proxy that stands for the network between an application and a server. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class NetworkProxy {
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  #to: number;
  #swallows = false;
  /** Bytes of a connection after which it is cut, counted in both directions. @default - never */
  cutAfter: (() => number) | undefined;

  /** Milliseconds by which each direction is delayed. */
  delayMs = 0;
  /** Connections that were cut at their limit. */
  cuts = 0;
  /** Bytes that were passed. */
  bytes = 0;

  private constructor(to: number) {
    this.#to = to;
    this.#server = createServer({ pauseOnConnect: false }, (near) => this.#accept(near));
  }

  /** @param address loopback address to listen on. @default '127.0.0.1' */
  static async start(to: number, address = '127.0.0.1', port = 0): Promise<NetworkProxy> {
    const proxy = new NetworkProxy(to);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(port, address, resolve);
    });
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
    return address.port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Leads new connections to another server. */
  lead(to: number): void {
    this.#to = to;
  }

  /** From now on swallows every byte of both directions, without closing anything. New connections are accepted and get nothing. */
  swallow(): void {
    this.#swallows = true;
  }

  /** Passes bytes again. */
  pass(): void {
    this.#swallows = false;
  }

  /** Resets all connections. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  async stop(): Promise<void> {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(near: Socket): void {
    const far = connect(this.#to, '127.0.0.1');
    const pair = { near, far };
    this.#pairs.add(pair);
    let left = this.cutAfter?.() ?? Number.POSITIVE_INFINITY;
    const pass = (from: Socket, to: Socket) => {
      from.on('data', (bytes: Buffer) => {
        if (this.#swallows) return;
        if (bytes.length > left) {
          to.write(bytes.subarray(0, left));
          this.cuts += 1;
          near.resetAndDestroy();
          far.resetAndDestroy();
          return;
        }
        left -= bytes.length;
        this.bytes += bytes.length;
        if (this.delayMs === 0) to.write(bytes);
        else setTimeout(() => to.write(bytes), this.delayMs);
      });
      from.on('close', () => {
        if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
        // A server that is gone says nothing to the other side.
        if (!this.#swallows) to.destroy();
      });
      from.on('error', () => undefined);
    };
    pass(near, far);
    pass(far, near);
  }
}
