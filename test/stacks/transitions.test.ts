/** Conditions of plans against what exists. Scenarios evaluate them with Terraform; docs/journeys.md has the steps. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { stackOf } from './stack.ts';

const server = 'azurerm_postgresql_flexible_server';

interface Condition {
  readonly condition: string;
  readonly error_message: string;
}

function conditions(
  environment: 'development' | 'staging' | 'production',
  change?: (input: EnvironmentInput) => void,
): Readonly<Record<string, readonly Condition[]>> {
  const { resource } = JSON.parse(stackOf(environment, change).text);
  return Object.fromEntries(
    Object.entries<{ lifecycle: { precondition?: Condition[] } }>(resource[server]).map(([name, one]) => [
      name,
      one.lifecycle.precondition ?? [],
    ]),
  );
}

const journeys = readFileSync('docs/journeys.md', 'utf8');
const shapes = {
  development: conditions('development'),
  staging: conditions('staging'),
  production: conditions('production'),
  'the replica first': conditions('production', (input) => {
    input.changeFirst = 'replica';
  }),
};

describe('a condition of a plan', () => {
  it.each(Object.entries(shapes))('names a journey that docs/journeys.md describes: %s', (_, servers) => {
    const all = Object.values(servers).flat();
    expect(all.length).toBeGreaterThan(1);
    for (const { error_message: message } of all) {
      const section = /docs\/journeys\.md, "([^"]+)"\.$/.exec(message)?.[1];
      expect(journeys).toContain(`\n## ${section}\n`);
    }
  });

  it('compares sizes on the server that changes first', () => {
    const scaling = (name: string, shape: keyof typeof shapes) =>
      (shapes[shape][name] ?? []).some(({ error_message: message }) => message.includes('"Scale a pair"'));
    expect([scaling('server', 'production'), scaling('replica', 'production')]).toEqual([true, false]);
    expect([scaling('server', 'the replica first'), scaling('replica', 'the replica first')]).toEqual([
      false,
      true,
    ]);
  });

  it('compares the other server if the replica accepts writes', () => {
    const [sizes] = (
      conditions('production', (input) => {
        input.writer = 'replica';
      })['server'] ?? []
    ).filter(({ error_message: message }) => message.includes('"Scale a pair"'));
    expect(sizes?.condition).toContain('present_replica');
    expect(sizes?.error_message).toMatch(/would be smaller/);
  });

  it('reads no adopted vault, which is where its owner put it', () => {
    const { data } = JSON.parse(
      stackOf('development', (input) => {
        input.keyVault.existing = true;
      }).text,
    );
    expect(Object.keys(data.azurerm_resources)).toEqual(['present_servers']);
  });
});
