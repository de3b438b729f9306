/** The results of a rehearsal: a page with the picture, and the figures. Neither may contain a secret. */
import { constants } from 'node:fs';
import { open, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Fault } from '../core/fault.ts';
import { messageOf } from '../core/text.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import type { Scenario } from './sandbox/scenario.ts';
import { type Figures, timelineOf } from './timeline/model.ts';
import { page } from './timeline/page.ts';
import { figuresText, operationsText } from './timeline/text.ts';

/** Where the pages are written. */
export interface ReportPlace {
  readonly environment: string;
  /** File of the page. @default - one in the system's temporary folder */
  readonly report?: string | undefined;
  /** Whether several scenarios run, so that each file name includes its scenario. @default false */
  readonly all?: boolean | undefined;
}

/** Absolute path of a scenario's page: `page.html`, or with several scenarios `page-switchover.html`. */
export function reportFile({ environment, report, all }: ReportPlace, scenario: string): string {
  if (report === undefined)
    return path.join(os.tmpdir(), `llama-db-rehearsal-${environment}-${scenario}.html`);
  if (!all) return path.resolve(report);
  const { dir, name, ext } = path.parse(path.resolve(report));
  return path.join(dir, `${name}-${scenario}${ext}`);
}

/**
 * Checks that every page can be written, before minutes are spent on it. Existing files stay unchanged.
 *
 * @throws Fault with exit status 2
 */
export async function requireWritable(place: ReportPlace, scenarios: readonly Scenario[]): Promise<void> {
  for (const { name } of scenarios) {
    const file = reportFile(place, name);
    try {
      await tryToWrite(file);
    } catch (error) {
      throw new Fault(
        'rehearsal/report-not-writable',
        `The page of the rehearsal cannot be written to ${file}`,
        messageOf(error),
        'Name another file in a folder that exists: --report <file>.',
        { exitCode: 2, cause: error },
      );
    }
  }
}

async function tryToWrite(file: string): Promise<void> {
  const existing = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  // The page replaces the file, which must therefore not be a device or a folder.
  if (existing && !existing.isFile()) throw new Error('it exists and is not a regular file');
  const opened = await open(file, constants.O_WRONLY | (existing ? 0 : constants.O_CREAT | constants.O_EXCL));
  await opened.close();
  if (!existing) await rm(file);
}

/** The result of one scenario that held. */
export interface Rehearsed {
  readonly scenario: string;
  readonly title: string;
  readonly checks: readonly string[];
  readonly figures: Figures;
  /** File of the page. */
  readonly report: string;
}

/**
 * Writes the page of a scenario and logs the figures.
 *
 * @throws Fault if the page or the figures contain a secret; nothing is written or logged then
 */
export async function report(
  scenario: Scenario,
  sandbox: Sandbox,
  { log, ...place }: ReportPlace & { readonly log: (line: string) => void },
): Promise<Rehearsed> {
  const timeline = timelineOf(sandbox, scenario.title);
  const text = operationsText(timeline) + figuresText(timeline.figures);
  const html = page(timeline);
  // Before anything is written or printed: the report itself must not publish a secret.
  const leaks = [
    ...sandbox.secrets.search('the timeline', text),
    ...sandbox.secrets.search('the page', html),
  ];
  if (leaks.length > 0)
    throw new Fault(
      'rehearsal/secret-in-report',
      'The report of the rehearsal contains a secret and was not written',
      leaks.map(({ what, where }) => `${what} is in ${where}`).join('; '),
      'This is a defect of rehearsal/timeline/: leave the named secret out there.',
    );
  const file = reportFile(place, scenario.name);
  // A link left by another user in a shared folder must not redirect the page.
  await rm(file, { force: true });
  await writeFile(file, html);
  if (!place.all) log(`\n${operationsText(timeline)}`);
  log(figuresText(timeline.figures));
  log(`Page with the picture: ${file}\n`);
  return {
    scenario: scenario.name,
    title: scenario.title,
    checks: sandbox.checks.map(({ claim }) => claim),
    figures: timeline.figures,
    report: file,
  };
}
