import { settingsRulesPage } from '../../environments/page.ts';

/** Documents that are generated from the code, by path from the project's root. */
export const generatedPages: Readonly<Record<string, () => string>> = {
  'docs/settings-rules.md': settingsRulesPage,
};
