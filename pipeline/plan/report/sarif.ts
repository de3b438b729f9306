/** The report as SARIF, for code scanning. A finding is in a plan; its location is the file of the environment. */
import { sarifLevel, sarifLog } from '../../../core/sarif.ts';
import type { Severity } from '../../../core/severity.ts';
import type { GuardReport } from '../guard.ts';
import { type Impact, impactTexts } from '../impacts.ts';
import type { Verdict } from '../judge.ts';
import { refusalOf } from '../rules.ts';
import { othersLine } from './words.ts';

const severities: Readonly<Record<Impact, Severity>> = {
  'data-loss': 'critical',
  'refused-by-azure': 'high',
  unknown: 'medium',
  'long-outage': 'high',
  'security-weakened': 'high',
  'recovery-weakened': 'high',
  failover: 'medium',
  restart: 'medium',
  'read-only': 'medium',
  cost: 'low',
  online: 'low',
  nothing: 'low',
};

export function renderSarif(report: GuardReport) {
  const found = report.verdicts.filter(({ impact }) => !['nothing', 'online', 'cost'].includes(impact));
  const ids = [...new Set(found.map(ruleId))];
  return sarifLog({
    tool: 'llama-db plan',
    rules: ids.map((id) => {
      const verdict = found.find((one) => ruleId(one) === id);
      const impact = verdict?.impact ?? 'unknown';
      const { title, means } = impactTexts[impact];
      const rule = verdict && refusalOf(verdict);
      return {
        id,
        name: id,
        severity: severities[impact],
        title: `${title}: ${verdict?.row}`,
        why: rule?.why ?? means,
        help: `${rule?.remedy ?? 'Choose the moment of the apply.'}${verdict?.source ? `\n\nSource: ${verdict.source.url} (${verdict.source.dated})` : ''}`,
        tags: [impact],
      };
    }),
    results: found.map((verdict) => ({
      ruleId: ruleId(verdict),
      ruleIndex: ids.indexOf(ruleId(verdict)),
      level: sarifLevel(severities[verdict.impact]).level,
      message: { text: `${verdict.address}: ${verdict.says}` },
      locations: [
        {
          physicalLocation: { artifactLocation: { uri: fileOf(report, verdict) } },
          logicalLocations: [{ fullyQualifiedName: verdict.address }],
        },
      ],
      partialFingerprints: { change: `${ruleId(verdict)} ${verdict.address} ${verdict.attribute ?? ''}` },
    })),
    notes: [
      ...report.warnings.map(({ check, message }) => `${check}: ${message}`),
      ...othersLine(report),
      ...report.openChecks.map((check) => `${check} is decided during the apply`),
    ],
  });
}

const ruleId = ({ row, impact }: Verdict) => `${row}/${impact}`;

function fileOf({ environment }: GuardReport, { type, address }: Verdict): string {
  return type === 'migration' ? address : `environments/${environment}.ts`;
}
