/** The frameworks that controls are mapped to, each with the version whose numbers the mapping uses. */

export interface Framework {
  readonly name: string;
  readonly version: string;
  /** Publisher's page of this version. */
  readonly url: string;
  /** How the numbers were checked, for readers who quote them. */
  readonly checked: string;
  /** Numbers that were compared with nothing: reports mark each of them. @default - none */
  readonly uncompared?: readonly string[] | 'all';
}

const prowler =
  'every number without a mark is in the mapping data of prowler (2026-08-21); none was compared with the document itself';

export const frameworks = {
  'cis-database': {
    name: 'CIS Microsoft Azure Database Services Benchmark',
    version: '2.0.0, section 6',
    url: 'https://www.cisecurity.org/benchmark/azure',
    checked:
      'numbers as in two independent copies of the contents; compare with the document before you quote one',
  },
  'cis-foundations': {
    name: 'CIS Microsoft Azure Foundations Benchmark',
    version: '6.0',
    url: 'https://www.cisecurity.org/benchmark/azure',
    checked: `${prowler}; version 5.0 has the same numbers for these controls`,
  },
  'mcsb-v1': {
    name: 'Microsoft cloud security benchmark',
    version: 'v1',
    url: 'https://learn.microsoft.com/security/benchmark/azure/overview',
    checked:
      "not compared with anything: numbers of the benchmark's families; the baseline of Flexible Server is written for v1",
    uncompared: 'all',
  },
  'mcsb-v2': {
    name: 'Microsoft cloud security benchmark',
    version: 'v2 (preview)',
    url: 'https://learn.microsoft.com/security/benchmark/azure/overview',
    checked: 'not compared with anything: families of the preview, in which a number may still change',
    uncompared: 'all',
  },
  soc2: {
    name: 'SOC 2, Trust Services Criteria',
    version: '2017, points of focus of 2022',
    url: 'https://www.aicpa-cima.com/resources/download/2017-trust-services-criteria-with-revised-points-of-focus-2022',
    checked: prowler,
    uncompared: ['A1.2', 'A1.3', 'P4.3'],
  },
  iso27001: {
    name: 'ISO/IEC 27001, Annex A',
    version: '2022',
    url: 'https://www.iso.org/standard/27001',
    checked: `${prowler}, and titles of Annex A`,
  },
  nis2: {
    name: 'NIS2, Directive (EU) 2022/2555: annex of Implementing Regulation (EU) 2024/2690',
    version: '2024/2690',
    url: 'https://eur-lex.europa.eu/eli/reg_impl/2024/2690/oj',
    checked: prowler,
    uncompared: ['4.2.4', '4.2.6', '6.1.1', '6.3.1', '6.8.1', '6.10.1'],
  },
  fedramp: {
    name: 'FedRAMP 20x Key Security Indicators',
    version: '25.05C',
    url: 'https://www.fedramp.gov/20x/',
    checked: prowler,
  },
} as const satisfies Readonly<Record<string, Framework>>;

export type FrameworkId = keyof typeof frameworks;

export const frameworkIds = Object.keys(frameworks) as readonly FrameworkId[];

/** A number as reports print it. */
export function numberText(framework: FrameworkId, number: string): string {
  const { uncompared = [] }: Framework = frameworks[framework];
  return uncompared === 'all' || uncompared.includes(number) ? `${number} (not compared)` : number;
}
