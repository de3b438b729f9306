/** The facts without which a measured figure cannot be compared: the commit and the machine. */
import os from 'node:os';
import { sources } from '../core/sources.ts';

export interface Circumstances {
  /** Commit of the measured sources; with `+` if the checkout has changes. */
  readonly commit: string;
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  /** One-minute load average before the measurement. A load near the number of cores distorts it. */
  readonly load: number;
  /** ISO 8601. */
  readonly at: string;
}

export function circumstances(): Circumstances {
  return {
    commit: sources().commit,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    memoryGb: Math.round(os.totalmem() / 1024 ** 3),
    load: os.loadavg()[0] ?? 0,
    at: new Date().toISOString(),
  };
}
