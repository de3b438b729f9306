import { describe, expect, it } from 'vitest';
import { inOrder, refuseUnknownStandby } from '../../database/restart-order.ts';

const pending = (...names: readonly string[]) =>
  (['primary', 'replica'] as const).map((which) => ({
    which,
    parameters: names.map((name) => ({ name, current: '100' })),
  }));
const order = (writer: 'primary' | 'replica', parameters: Readonly<Record<string, string>>) =>
  inOrder(pending(...Object.keys(parameters)), { writer, parameters }).map(({ which }) => which);

describe('two servers with pending parameters', () => {
  it.each([
    ['rises', 'primary', '200', ['replica', 'primary']],
    ['falls', 'primary', '50', ['primary', 'replica']],
    // After a switchover, the primary of the settings is the standby.
    ['rises', 'replica', '200', ['primary', 'replica']],
    ['falls', 'replica', '50', ['replica', 'primary']],
  ] as const)('restart in order if a limit %s and the %s is the writer', (_how, writer, value, expected) => {
    expect(order(writer, { max_connections: value })).toEqual(expected);
  });

  it('are refused if one limit rises and another falls', () => {
    expect(() => order('primary', { max_connections: '200', max_wal_senders: '5' })).toThrow(
      expect.objectContaining({
        code: 'restart/limits-rise-and-fall',
        what: expect.stringMatching(/max_connections .*max_wal_senders/),
      }),
    );
  });
});

describe('a standby that could not be inspected', () => {
  const servers = pending('max_connections').slice(0, 1);
  const unknown = { servers, standby: { host: 'replica.example' }, unknown: 'no route' };
  const refusal = (given: Parameters<typeof refuseUnknownStandby>[0], value: string) => () =>
    refuseUnknownStandby(given, { parameters: { max_connections: value } });

  it('stops a restart of the writer with a higher limit', () => {
    expect(refusal(unknown, '200')).toThrow(
      expect.objectContaining({
        code: 'restart/standby-unknown',
        what: expect.stringContaining('max_connections'),
        why: expect.stringMatching(/replica\.example .*no route/),
      }),
    );
  });

  it('stops neither a lower limit, nor other parameters, nor a deployment whose standby is known', () => {
    expect(refusal(unknown, '50')).not.toThrow();
    expect(refusal({ ...unknown, servers: pending('wal_buffers').slice(0, 1) }, '50')).not.toThrow();
    expect(refusal({ servers }, '200')).not.toThrow();
  });
});
