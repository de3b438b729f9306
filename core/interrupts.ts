/** Ctrl-C and other signals that end a command. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Does work with an AbortSignal that Ctrl-C, SIGTERM or a closed terminal aborts. */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  for (const signal of signals) process.on(signal, interrupt);
  try {
    await work(interrupted.signal);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
  }
}

/** Waits until the signal is aborted, and keeps this process alive meanwhile. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const alive = setInterval(() => {}, 60_000);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(alive);
}
