/** What a rehearsal leaves: a page with the picture, and the figures. Nothing of it holds a secret. */
import { constants } from 'node:fs';
import { open, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Fault } from '../core/fault.ts';
import type { Scenario } from './scenario.ts';
import type { Stage } from './stage/stage.ts';
import { type Figures, type Timeline, timelineOf } from './timeline/model.ts';
import { page } from './timeline/page.ts';
import { figuresText, operationsText } from './timeline/text.ts';

/** Where the pages go. */
export interface ReportPlace {
  readonly environment: string;
  /** File of the page. @default - one in the system's temporary folder */
  readonly report?: string | undefined;
  /** Whether there are several, of which each has its scenario's name in its own. @default false */
  readonly all?: boolean | undefined;
}

/** Absolute path of a scenario's page: `page.html`, and where there are several `page-switchover.html`. */
export function reportFile({ environment, report, all }: ReportPlace, scenario: string): string {
  if (report === undefined)
    return path.join(os.tmpdir(), `llama-db-rehearsal-${environment}-${scenario}.html`);
  if (!all) return path.resolve(report);
  const { dir, name, ext } = path.parse(path.resolve(report));
  return path.join(dir, `${name}-${scenario}${ext}`);
}

/**
 * Looks whether every page can be written, before minutes are spent on it; what is there already stays as it is.
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
        'report/1',
        `The page of the rehearsal cannot be written to ${file}`,
        error instanceof Error ? error.message : String(error),
        'Name another file in a folder that exists: --report <file>.',
        { exitCode: 2, cause: error },
      );
    }
  }
}

async function tryToWrite(file: string): Promise<void> {
  const there = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  // The page takes the place of what has its name: that must not be a device or a folder.
  if (there && !there.isFile()) throw new Error('what is there is no file');
  const opened = await open(file, constants.O_WRONLY | (there ? 0 : constants.O_CREAT | constants.O_EXCL));
  await opened.close();
  if (!there) await rm(file);
}

/** One scenario that was played to its end. */
export interface Rehearsed {
  readonly scenario: string;
  readonly title: string;
  readonly checks: readonly string[];
  readonly figures: Figures;
  /** File of the page. */
  readonly report: string;
}

/**
 * Writes the page of what was played, and says the figures.
 *
 * @throws Fault when the page or the figures hold a secret; nothing is written or said then
 */
export async function report(
  scenario: Scenario,
  stage: Stage,
  { say, ...place }: ReportPlace & { readonly say: (line: string) => void },
): Promise<Rehearsed> {
  const timeline = timelineOf(stage, scenario.title);
  const { text, html } = render(timeline);
  // Before anything is written or printed: a secret in the report itself must not get out.
  const leaks = [...stage.secrets.search('the timeline', text), ...stage.secrets.search('the page', html)];
  if (leaks.length > 0)
    throw new Fault(
      'report/2',
      'The report of the rehearsal holds a secret and was not written',
      leaks.map(({ what, where }) => `${what} is in ${where}`).join('; '),
      'This is a defect of rehearsal/timeline/: leave out there what is named.',
    );
  const file = reportFile(place, scenario.name);
  // Not through a link that somebody else has left in a folder for everybody.
  await rm(file, { force: true });
  await writeFile(file, html);
  if (!place.all) say(`\n${operationsText(timeline)}`);
  say(figuresText(timeline.figures));
  say(`Page with the picture: ${file}\n`);
  return {
    scenario: scenario.name,
    title: scenario.title,
    checks: stage.checks.map(({ words }) => words),
    figures: timeline.figures,
    report: file,
  };
}

function render(timeline: Timeline): { readonly text: string; readonly html: string } {
  return { text: operationsText(timeline) + figuresText(timeline.figures), html: page(timeline) };
}
