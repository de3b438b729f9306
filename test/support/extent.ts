/** Whether the tests that take minutes run too. */
export const includesLong = ['all', 'complete'].includes(process.env['LLAMA_REHEARSAL'] ?? '');

/** Why they are skipped. */
export const takesMinutes = 'takes minutes; LLAMA_REHEARSAL=all runs it';
