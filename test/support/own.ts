/** The project's own environments, chosen by trait: for tests of commands, which know only these. */
import type { EnvironmentName } from '../../environments/index.ts';
import { inputs } from '../../environments/list.ts';
import { describeTraits, namesWith, type Trait, type Wanted } from '../../environments/traits.ts';

/** The first environment with all traits, or undefined. */
export function ownWith(...needs: readonly Trait[]): EnvironmentName | undefined {
  return namesWith(inputs, { needs })[0];
}

/** The environment with most of the traits. */
export function ownNearest(...prefers: NonNullable<Wanted['prefers']>): EnvironmentName {
  const [name] = namesWith(inputs, { needs: [], prefers });
  if (name === undefined) throw new Error('environments/list.ts has no environment');
  return name;
}

/** The reason to skip a test without an environment of its kind. */
export function whyNoOwn(...needs: readonly Trait[]): string | undefined {
  return ownWith(...needs) === undefined
    ? `no environment of environments/list.ts has ${describeTraits(needs)}`
    : undefined;
}
