/** `evidence.md`: the whole pack as text. */
import { counted } from '../../../core/text.ts';
import { type FrameworkId, frameworkIds, frameworks, numberText } from '../frameworks.ts';
import { type AssessedControl, controlsOf, type Report, type Row, verdicts } from '../report.ts';

export function renderMarkdown(report: Report): string {
  const { environment, commit, counts, families, auditHead, observations, unusedWaivers } = report;
  const draft = commit.changed.length > 0;
  return [
    `# Evidence for ${environment}`,
    '',
    ...(draft ? [`**Draft**: ${counted(commit.changed.length, 'file')} differed from the commit.`, ''] : []),
    `Commit \`${commit.hash}\` of ${commit.time}. Stack: \`cdk.tf.json\`, SHA-256 \`${report.stack.sha256}\`.`,
    auditHead === null ? 'Audit head: not collected.' : `Audit head: \`${auditHead}\`.`,
    '',
    '| observation | looked at | file |',
    '|---|---|---|',
    ...observations.map(({ kind, at, file }) => `| ${kind} | ${at ?? 'time not recorded'} | \`${file}\` |`),
    ...(['verification', 'releases', 'guard', 'audit'] as const)
      .filter((kind) => !observations.some((one) => one.kind === kind))
      .map((kind) => `| ${kind} | not collected | |`),
    '',
    ...releaseLines(report),
    `| verdict | controls of ${controlsOf(report).length} |`,
    '|---|---|',
    ...verdicts.map((verdict) => `| ${verdict} | ${counts[verdict]} |`),
    '',
    ...families.flatMap(({ title, controls }) => [`## ${title}`, '', ...controls.flatMap(section)]),
    '## Frameworks',
    '',
    '| framework | version | numbers |',
    '|---|---|---|',
    ...frameworkIds.map((id) => {
      const { name, version, url, checked } = frameworks[id];
      return `| [${name}](${url}) | ${version} | ${checked} |`;
    }),
    '',
    ...(unusedWaivers.length === 0
      ? []
      : [
          '## Waivers that cover nothing',
          '',
          ...unusedWaivers.map(({ control, reason }) => `- ${control}: ${cell(reason)}`),
          '',
        ]),
  ].join('\n');
}

function releaseLines({ releases }: Report): readonly string[] {
  if (releases.length === 0) return [];
  const lines = [...releases]
    .reverse()
    .map(
      ({ at, outcome, executor, migrationsDigest, auditHead }) =>
        `| ${at} | ${cell(outcome)} | ${cell(executor)} | ${code(migrationsDigest)} | ${auditHead === null ? '' : code(auditHead)} |`,
    );
  return ['| release | outcome | by | migrations | audit head |', '|---|---|---|---|---|', ...lines, ''];
}

function section(control: AssessedControl): readonly string[] {
  return [
    `### ${control.id} ${control.title}`,
    '',
    `**${control.verdict}**. ${control.why}`,
    '',
    mappedTo(control.mapped),
    '',
    '| evidence | place | required | value | verdict | looked at |',
    '|---|---|---|---|---|---|',
    ...control.rows.map(line),
    '',
  ];
}

function line(row: Row): string {
  const value = row.value === null ? '' : code(text(row.value));
  const notes = [row.remark, row.waiver && waiverText(row)]
    .filter((one) => one !== undefined)
    .map((one) => cell(one));
  const place =
    row.place === '' ? '' : code(row.place + (row.within === undefined ? '' : ` > ${row.within}`));
  return `| ${cell(row.subject)} | ${place} | ${cell(row.requires ?? '')} | ${[value, ...notes].filter(Boolean).join(', ')} | ${row.verdict} | ${row.observedAt ?? ''} |`;
}

export function waiverText({ waiver, verdict }: Row): string | undefined {
  if (!waiver) return undefined;
  const { owner, expires, reason, confirmed } = waiver;
  if (!confirmed) return `proposed for ${owner} until ${expires}: ${reason}`;
  const accepted = verdict === 'waived' ? 'accepted' : 'was accepted';
  return `${accepted} for ${owner} by ${confirmed.by} on ${confirmed.on} (${confirmed.where}) until ${expires}: ${reason}`;
}

export function mappedTo(mapped: AssessedControl['mapped']): string {
  return frameworkIds
    .flatMap((id: FrameworkId) => (mapped[id] ? [`${shortName(id)}: ${numbersText(id, mapped[id])}`] : []))
    .join(' · ');
}

export const numbersText = (id: FrameworkId, numbers: readonly string[]): string =>
  numbers.map((one) => numberText(id, one)).join(', ');

const shortNames: Readonly<Record<FrameworkId, string>> = {
  'cis-database': 'CIS Database Services 2.0.0',
  'cis-foundations': 'CIS Foundations 6.0',
  'mcsb-v1': 'MCSB v1',
  'mcsb-v2': 'MCSB v2',
  soc2: 'SOC 2',
  iso27001: 'ISO 27001:2022',
  nis2: 'NIS2',
  fedramp: 'FedRAMP 20x',
};

export function shortName(id: FrameworkId): string {
  return shortNames[id];
}

/** A value as one line. */
export function text(value: Row['value']): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function cell(content: string): string {
  return content
    .replace(/[\r\n]+/g, ' ')
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;');
}

/** Code in a cell: a fence longer than any run of backticks inside. */
function code(content: string): string {
  const longest = Math.max(0, ...[...content.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const space = content.startsWith('`') || content.endsWith('`') ? ' ' : '';
  return `${fence}${space}${content.replace(/[\r\n]+/g, ' ').replaceAll('|', '\\|')}${space}${fence}`;
}
