/** Every text of the settings: characters that no service takes, and templates that Terraform would evaluate. */
import { check, defineRules, type Finding } from '../rule.ts';

interface Text {
  readonly field: string;
  readonly text: string;
}

/** All texts below a value, names of fields included. */
function textsOf(value: unknown, field = ''): readonly Text[] {
  if (typeof value === 'string') return [{ field, text: value }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const path = field === '' ? name : `${field}.${name}`;
    return [{ field: path, text: name }, ...textsOf(member, path)];
  });
}

function refused(settings: unknown, pattern: RegExp): readonly Finding[] {
  return textsOf(settings).flatMap(({ field, text }) => check(!pattern.test(text), field, text));
}

export const textRules = defineRules({
  'texts/no-control-character': {
    rule: 'a text contains no control character: PostgreSQL refuses NUL, and Azure Resource Manager and terminals the others',
    source: 'https://www.postgresql.org/docs/17/datatype-character.html',
    remedy: 'Remove the character.',
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to refuse
    check: (candidate) => refused(candidate, /[\u0000-\u001f\u007f-\u009f]/),
  },

  'texts/no-template': {
    rule: 'a text contains neither ${ nor %{, which begin templates of Terraform',
    source: 'https://developer.hashicorp.com/terraform/language/syntax/json',
    remedy: 'Write the value itself: settings are TypeScript, so `template` strings are evaluated there.',
    check: (candidate) => refused(candidate, /[$%]\{/),
  },
});
