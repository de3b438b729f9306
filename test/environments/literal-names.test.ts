/** No code outside `environments/` names an environment, so that another company's names need no change of code. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** `import --from staging` reads a database of this name beside the target. */
const otherMeaning = /^(?:commands\/import|database\/import\/)/;
const names = /(['"`])(?:development|staging|production)\1|llama-mapper-[a-z]|comply-?ai/;

it('no environment, organization or project is named in the code of a room', () => {
  const files = execFileSync('git', ['ls-files', '*.ts', '*.mjs'], { encoding: 'utf8' }).trim().split('\n');
  const code = files.filter((file) => !/^(?:environments|test)\//.test(file) && !otherMeaning.test(file));
  expect(code.length).toBeGreaterThan(300);
  const found = code.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, position) =>
        names.test(line.replace(/^\s*(?:\/?\*|\/\/).*/, ''))
          ? [`${file}:${position + 1} ${line.trim()}`]
          : [],
      ),
  );
  expect(found).toEqual([]);
});
