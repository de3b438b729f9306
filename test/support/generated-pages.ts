import { documentRules } from '../../database/migrator/lint/report.ts';
import { settingsRulesPage } from '../../environments/page.ts';
import { localAzurePage } from '../../local/azure/page.ts';
import { documentChecks } from '../../verification/report/explain.ts';
import { documentFaults } from '../core/fault-page.ts';
import { publishedShapes } from './published-shapes.ts';
import { settingsPage } from './settings-page.ts';

/** Documents that are generated from the code, by path from the project's root. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'docs/checks.md': documentChecks,
  'docs/faults.md': () => documentFaults(),
  'docs/lint-rules.md': documentRules,
  'docs/local-azure.md': localAzurePage,
  'docs/settings.md': settingsPage,
  'docs/settings-rules.md': settingsRulesPage,
  'local/azure/published/shapes.json': publishedShapes,
};
