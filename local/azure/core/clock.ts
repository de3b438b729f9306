import type { Memory } from './memory.ts';

/** Azure's time: this machine's, plus what a scenario let pass at once (a propagation delay, twelve hours, ninety days). */
export class Clock {
  readonly #ahead: Map<string, number>;

  constructor(memory: Memory) {
    this.#ahead = memory.map('clock');
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return Date.now() + (this.#ahead.get('milliseconds') ?? 0);
  }

  /** Lets so many milliseconds pass at once. */
  advance(milliseconds: number): void {
    this.#ahead.set('milliseconds', (this.#ahead.get('milliseconds') ?? 0) + milliseconds);
  }
}
