import { describe, expect, it } from 'vitest';
import { ruleTexts } from '../../environments/catalogue.ts';
import { refusalNames } from '../../local/azure/refusals/index.ts';
import { answers, rulesWithoutRefusal } from './azure-refusals.ts';

/** A source of this project: the rule is its own, whatever Azure would accept. */
const isOwn = (source: string) => /(?:^|; )(?:docs|environments|azure)\//.test(source);
const isAzures = (source: string) => /learn\.microsoft\.com\/azure/.test(source) && !isOwn(source);

const rules = Object.entries(ruleTexts).filter(([id]) => !id.startsWith('warnings/'));
const answering = new Set(Object.values(answers).flatMap((answer) => (Array.isArray(answer) ? answer : [])));

describe('what the local Azure refuses', () => {
  it('is kept off by rules about settings, or has a reason why no setting causes it', () => {
    expect(Object.keys(answers).sort()).toEqual([...refusalNames].sort());
  });

  it('is kept off by rules that exist', () => {
    expect([...answering].filter((id) => !(id in ruleTexts))).toEqual([]);
  });
});

describe('a rule with a page of Azure as its source', () => {
  const azures = rules.filter(([, { source }]) => isAzures(source)).map(([id]) => id);

  it('is one that the local Azure has too, or says why not', () => {
    expect(azures.filter((id) => !answering.has(id as never) && !(id in rulesWithoutRefusal))).toEqual([]);
  });

  it('has a reason only if it needs one', () => {
    const needless = Object.keys(rulesWithoutRefusal).filter(
      (id) => answering.has(id as never) || !azures.includes(id),
    );
    expect(needless).toEqual([]);
  });
});
