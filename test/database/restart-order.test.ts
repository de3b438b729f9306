import { describe, expect, it } from 'vitest';
import { inOrder } from '../../database/restart.ts';

const pending = (...names: readonly string[]) =>
  (['primary', 'replica'] as const).map((which) => ({
    which,
    parameters: names.map((name) => ({ name, current: '100' })),
  }));
const order = (writer: 'primary' | 'replica', parameters: Readonly<Record<string, string>>) =>
  inOrder(pending(...Object.keys(parameters)), { writer, parameters }).map(({ which }) => which);

describe('two servers that wait for a restart', () => {
  it.each([
    ['rises', 'primary', '200', ['replica', 'primary']],
    ['falls', 'primary', '50', ['primary', 'replica']],
    // After a switchover, the settings' primary is the one that follows.
    ['rises', 'replica', '200', ['primary', 'replica']],
    ['falls', 'replica', '50', ['replica', 'primary']],
  ] as const)('when a limit %s and the %s takes writes', (_how, writer, value, expected) => {
    expect(order(writer, { max_connections: value })).toEqual(expected);
  });

  it('cannot be restarted for one limit that rises and one that falls', () => {
    expect(() => order('primary', { max_connections: '200', max_wal_senders: '5' })).toThrow(
      /max_connections and max_wal_senders together cannot be done/,
    );
  });
});
