import type { Memory } from './memory.ts';

/** Azure's time: the time of this machine, plus the periods that a scenario skips (a propagation delay, ninety days). */
export class Clock {
  readonly #ahead: Map<string, number>;

  constructor(memory: Memory) {
    this.#ahead = memory.map('clock');
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return Date.now() + (this.#ahead.get('milliseconds') ?? 0);
  }

  /** Skips a period, in milliseconds. */
  advance(milliseconds: number): void {
    this.#ahead.set('milliseconds', (this.#ahead.get('milliseconds') ?? 0) + milliseconds);
  }
}
