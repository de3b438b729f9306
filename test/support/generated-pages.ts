import { readFileSync } from 'node:fs';
import { documentRules } from '../../database/migrator/lint/report.ts';
import { settingsRulesPage } from '../../environments/page.ts';
import { localAzurePage } from '../../local/azure/page.ts';
import { controlTable, scannerTable } from '../../pipeline/evidence/scanners.ts';
import { documentChecks } from '../../verification/report/explain.ts';
import { documentFaults } from '../core/fault-page.ts';
import { publishedShapes } from './published-shapes.ts';
import { reviewingPage } from './reviewing-page.ts';
import { settingsPage } from './settings-page.ts';

/** Documents that are generated from the code, by path from the project's root. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'docs/checks.md': documentChecks,
  'docs/evidence.md': () =>
    withSections('docs/evidence.md', { controls: controlTable, scanners: scannerTable }),
  'docs/faults.md': () => documentFaults(),
  'docs/lint-rules.md': documentRules,
  'docs/local-azure.md': localAzurePage,
  'docs/reviewing.md': reviewingPage,
  'docs/settings.md': settingsPage,
  'docs/settings-rules.md': settingsRulesPage,
  'local/azure/published/shapes.json': publishedShapes,
};

/** A page whose marked sections are generated: `<!-- name: ... -->` begins one, `<!-- end -->` ends it. */
function withSections(path: string, sections: Readonly<Record<string, () => string>>): string {
  return Object.entries(sections).reduce(
    (page, [name, render]) => {
      const marked = new RegExp(`(<!-- ${name}: [^>]* -->\\n)[\\s\\S]*?(<!-- end -->)`);
      if (!marked.test(page)) throw new Error(`${path} has no section ${name}`);
      return page.replace(marked, (_, begin: string, end: string) => `${begin}\n${render()}\n${end}`);
    },
    readFileSync(path, 'utf8'),
  );
}
