import { describe, it } from 'vitest';

describe('a thing', () => {
  it('is looked at', () => {});
  it('needs a tool', (context) => context.skip('terraform is not on the PATH'));
  it.skip('was switched off', () => {});
});
