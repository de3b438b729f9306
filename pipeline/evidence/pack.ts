/** A pack: the files that an auditor gets, as text by path, in a fixed order. */
import { sha256 } from '../../core/digest.ts';
import { assess, type Collected } from './assess.ts';
import { renderCsv } from './formats/csv.ts';
import { cyclonedxOf } from './formats/cyclonedx.ts';
import { renderHtml } from './formats/html.ts';
import { renderMarkdown } from './formats/markdown.ts';
import { oscalDocuments } from './formats/oscal.ts';
import { sarifOf } from './formats/sarif.ts';
import { statementFile, statementOf } from './formats/statement.ts';
import type { Report } from './report.ts';

export interface PackInput extends Collected {
  /** `cdk.tf.json` as synthesized. */
  readonly stackText: string;
  /** `environments/<environment>.ts`. */
  readonly settingsText: string;
  /** `package-lock.json`. */
  readonly lockText: string;
}

export interface Pack {
  readonly report: Report;
  /** Content by path with forward slashes. */
  readonly files: ReadonlyMap<string, string>;
  /** SHA-256 of SHA256SUMS: it names the pack. */
  readonly digest: string;
}

export const sumsFile = 'SHA256SUMS';

export function packOf(input: PackInput): Pack {
  const report = assess(input);
  const controls = json(report);
  const files = new Map<string, string>([
    ['index.html', renderHtml(report)],
    ['evidence.md', renderMarkdown(report)],
    ['controls.json', controls],
    ['controls.csv', renderCsv(report)],
    ['controls.sarif', json(sarifOf(report, input.settingsText))],
    ['cdk.tf.json', input.stackText],
    ['bom.cdx.json', json(cyclonedxOf(report, input.lockText, input.stack.document))],
    ...[...oscalDocuments({ report, digest: sha256(controls) })].map(
      ([path, document]) => [path, json(document)] as const,
    ),
    ...input.observations.map(({ file, text }) => [file, text] as const),
  ]);
  const digests = () => [...files].map(([path, text]) => [path, sha256(text)] as const);
  files.set(statementFile, json(statementOf(report, digests())));
  const sums = sumsOf(digests());
  files.set(sumsFile, sums);
  return { report, files, digest: sha256(sums) };
}

/** The lines that `sha256sum --check` reads, by path. */
export function sumsOf(digests: readonly (readonly [path: string, digest: string])[]): string {
  return [...digests]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, digest]) => `${digest}  ${path}\n`)
    .join('');
}

/** The digests in SHA256SUMS, by path inside the pack. Other lines are left out. */
export function listedIn(sums: string): ReadonlyMap<string, string> {
  return new Map(
    sums.split('\n').flatMap((line) => {
      const [, digest, path] = /^([0-9a-f]{64}) {2}([\w-][\w.-]*(?:\/[\w-][\w.-]*)*)$/.exec(line) ?? [];
      return digest !== undefined && path !== undefined ? [[path, digest] as const] : [];
    }),
  );
}

export function json(document: unknown): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}
