import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { generatedPages } from './support/generated-pages.ts';

it.each(Object.entries(generatedPages))('%s is current (npm run docs writes it)', (path, page) => {
  expect(readFileSync(path, 'utf8')).toBe(page());
});
