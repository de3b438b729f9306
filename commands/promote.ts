import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { objectsAt, parseJson } from '../core/json.ts';
import { migrationsDirectory } from '../database/migrator/files.ts';
import { firstEnvironment, lastEnvironment, wholeNumber } from './common/options.ts';
import { readAt } from './common/released.ts';
import {
  initialised,
  type PlanOptions,
  placeOf,
  project,
  withPlanOptions,
  write,
} from './common/releasing.ts';
import { print, printJson, reporterFor } from './common/target.ts';

interface Options extends PlanOptions {
  readonly dryRun?: boolean;
  readonly source?: string;
  readonly branch: string;
  readonly maxAge: number;
  readonly except: readonly string[];
}

export function register(program: Command): void {
  withPlanOptions(program.command('promote'))
    .argument('<source>', 'the environment that proves the artifact')
    .argument('<target>', 'the next environment in the order of environments/list.ts')
    .description(
      'make the release of the next environment, if the one before proves the same artifact (docs/promoting.md)',
    )
    .option('--dry-run', 'only show every gate with its answer and the command that opens it')
    .option(
      '--source <file>',
      'facts of the source, from llama-db release inspect, rather than from its database',
    )
    .option('--branch <name>', 'branch that the checkout must contain', 'origin/main')
    .option('--max-age <hours>', 'refuse an older verification of the source', wholeNumber, 24)
    .option(
      '--except <groups>',
      'groups of checks that the source may skip; the release names them',
      groupList,
      [],
    )
    .addHelpText(
      'after',
      `\nExit status: 0 every gate is open; 1 an error; 3 a gate is closed.\nExample: llama-db promote ${firstEnvironment} ${lastEnvironment} --dry-run`,
    )
    .action(promote);
}

/** Status of every failure: 3 is a result of this command. */
export const failureStatus = 1;

const groupList = (text: string): readonly string[] => text.split(',').map((one) => one.trim());

async function promote(source: string, target: string, options: Options): Promise<void> {
  const [
    { environments },
    { planRelease },
    { digestOfArtifact },
    { commitsBehind, contains },
    { compareLedger, factsIn },
    { answersOf },
    { renderGates },
    place,
  ] = await Promise.all([
    import('../environments/index.ts'),
    import('../pipeline/release/make.ts'),
    import('../pipeline/release/document.ts'),
    import('../pipeline/release/checkout.ts'),
    import('../pipeline/promotion/facts.ts'),
    import('../pipeline/promotion/gates.ts'),
    import('../pipeline/promotion/report.ts'),
    placeOf(target, options.waivers),
  ]);
  refuseOrder(environments.names, environments.nameOf(source), place.environment);
  const reporter = reporterFor({ json: true });
  const behind = await commitsBehind(project, options.branch);
  const planned = await planRelease({ ...place, reporter });
  const { release, guard, planText, files } = planned;
  const from =
    options.source === undefined
      ? await initialised(source, reporter).then(async () => (await readAt(source, reporter)).facts)
      : factsIn(options.source, source);
  const stack = files.stack.toString();
  // Terraform creates an empty state at init, and a plan reads data sources into it.
  const prior = objectsAt(parseJson(planText), 'prior_state', 'values', 'root_module', 'resources');
  const exists = prior.some(({ mode }) => mode === 'managed');
  const to = exists ? await readAt(target, reporter, { plan: planText, stack }) : undefined;
  const difference = (ledger: typeof from.ledger) => compareLedger(ledger, migrationsDirectory);
  const answers = answersOf({
    ...{ source, target, now: new Date(), maxAge: options.maxAge, except: options.except, guard },
    before: environments.names[environments.names.indexOf(environments.nameOf(source)) - 1],
    checkout: {
      commit: release.commit,
      artifactDigest: digestOfArtifact(release.artifact),
      branch: options.branch,
      behind,
    },
    from: { ...from, difference: difference(from.ledger) },
    to: to && {
      ...to.facts,
      difference: difference(to.facts.ledger),
      isContained: to.facts.release === null || (await contains(project, to.facts.release.commit)),
      drift: to.drift,
    },
  });
  const closed = answers.filter(({ isOpen }) => !isOpen);
  const isOpen = closed.length === 0;
  if (options.json && (options.dryRun || !isOpen)) printJson({ ok: isOpen, gates: answers });
  if (!options.json) print(renderGates(answers, { source, target }));
  if (!isOpen) process.exitCode = 3;
  if (!isOpen || options.dryRun) return;
  await write(planned, options, {
    from: source,
    releaseDigest: from.release?.releaseDigest ?? '',
    gates: answers.map(({ name, says }) => ({ name, answer: says })),
  });
}

function refuseOrder(names: readonly string[], source: string, target: string): void {
  const place = names.indexOf(target);
  if (place > 0 && names[place - 1] === source) return;
  throw new Fault(
    'promote/order',
    `${target} is not promoted from ${source}`,
    `the order of environments/list.ts is ${names.join(', ')}`,
    place > 0
      ? `Run llama-db promote ${names[place - 1]} ${target}.`
      : `Run llama-db release plan ${target}.`,
    { exitCode: 2 },
  );
}
