import { documentRules } from '../../database/migrator/lint/report.ts';
import { settingsRulesPage } from '../../environments/page.ts';
import { refusalsPage } from '../../local/azure/refusals/page.ts';
import { documentChecks } from '../../verification/report/explain.ts';
import { documentFaults } from '../core/fault-page.ts';

/** Documents that are generated from the code, by path from the project's root. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'docs/checks.md': documentChecks,
  'docs/faults.md': () => documentFaults(),
  'docs/lint-rules.md': documentRules,
  'docs/local-azure.md': refusalsPage,
  'docs/settings-rules.md': settingsRulesPage,
};
