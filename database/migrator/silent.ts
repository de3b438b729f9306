/** Logger for node-pg-migrate, whose own logger prints the full text of failing statements. */
export const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
