/** The pipelines of `.github/workflows/` and `pipelines/azure/`: each job with its steps in order. */
import { readdirSync, readFileSync } from 'node:fs';
import { readYaml, type Yaml } from '../../support/yaml.ts';

export type Block = { readonly [key: string]: Yaml };

export interface Step {
  readonly name: string;
  /** Action or task; undefined for a command. */
  readonly uses?: string;
  /** One shell command. */
  readonly run?: string;
  /** Name by which later jobs read its outputs. */
  readonly id?: string;
  /** Whether it runs after a failed step too. */
  readonly isAlways: boolean;
  readonly with: Block;
  readonly env: Block;
}

export interface Job {
  readonly pipeline: string;
  readonly name: string;
  /** As the file has it, also an expression. */
  readonly environment?: string;
  readonly permissions: Block;
  readonly env: Block;
  /** Expression that has to hold for its stage. @default - it always runs */
  readonly condition?: string;
  /** Values of a matrix; one empty set without one. */
  readonly matrix: readonly Block[];
  /** Expressions by the names that later jobs read. */
  readonly outputs: Block;
  readonly steps: readonly Step[];
}

export const workflowFolder = '.github/workflows';
export const azureFolder = 'pipelines/azure';

const block = (value: Yaml | undefined): Block =>
  typeof value === 'object' && !Array.isArray(value) ? value : {};
const list = (value: Yaml | undefined): readonly Yaml[] => (Array.isArray(value) ? value : []);
const text = (value: Yaml | undefined): string | undefined => (typeof value === 'string' ? value : undefined);

export interface Workflow {
  readonly file: string;
  readonly document: Block;
  readonly source: string;
  readonly jobs: readonly Job[];
}

const filesIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yml'))
    .map((name) => `${folder}/${name}`);

/** The sets of a matrix that lists them, or of one key with its values. */
function matrixOf(matrix: Block): readonly Block[] {
  if (Array.isArray(matrix['include'])) return matrix['include'].map(block);
  const [[key, values] = []] = Object.entries(matrix);
  return key === undefined ? [{}] : list(values).map((value) => ({ [key]: value }));
}

export const workflows: readonly Workflow[] = filesIn(workflowFolder).map((file) => {
  const source = readFileSync(file, 'utf8');
  const document = block(readYaml(source));
  const jobs = Object.entries(block(document['jobs'])).map(([name, value]): Job => {
    const job = block(value);
    const environment = text(job['environment']);
    return {
      ...{ pipeline: file, name, permissions: block(job['permissions']), env: block(job['env']) },
      ...{ matrix: matrixOf(block(block(job['strategy'])['matrix'])), outputs: block(job['outputs']) },
      ...(environment === undefined ? {} : { environment }),
      steps: list(job['steps']).map((one) => {
        const step = block(one);
        const [uses, run, id] = [text(step['uses']), text(step['run']), text(step['id'])];
        return {
          ...{ name: text(step['name']) ?? '', with: block(step['with']), env: block(step['env']) },
          isAlways: text(step['if']) === 'always()',
          ...(uses === undefined ? {} : { uses }),
          ...(run === undefined ? {} : { run }),
          ...(id === undefined ? {} : { id }),
        };
      }),
    };
  });
  return { file, document, source, jobs };
});

const common = list(block(readYaml(readFileSync(`${azureFolder}/steps.yml`, 'utf8')))['steps']);

function azureStep(value: Yaml): readonly Step[] {
  const step = block(value);
  if (step['template'] === 'steps.yml') return common.flatMap(azureStep);
  const inputs = block(step['inputs']);
  const run = text(step['script']) ?? text(inputs['inlineScript']);
  const uses = text(step['task']) ?? ['checkout', 'publish', 'download'].find((one) => one in step);
  const id = text(step['name']);
  return [
    {
      ...{ name: text(step['displayName']) ?? '', env: block(step['env']) },
      isAlways: text(step['condition']) === 'always()',
      ...(id === undefined ? {} : { id }),
      with: { ...step, ...inputs },
      ...(uses === undefined ? {} : { uses }),
      ...(run === undefined ? {} : { run }),
    },
  ];
}

function azureJobs(file: string, { jobs, stage: named, variables, condition: given }: Block): readonly Job[] {
  const [stage = '', condition] = [text(named), text(given)];
  return list(jobs).map((one) => {
    const job = block(one);
    const environment = text(job['environment']);
    const deploy = block(block(block(job['strategy'])['runOnce'])['deploy']);
    return {
      ...{ pipeline: file, permissions: {}, env: block(variables), matrix: [{}], outputs: {} },
      name: [stage, text(job['job']) ?? text(job['deployment']) ?? ''].filter(Boolean).join(' '),
      ...(condition === undefined ? {} : { condition }),
      ...(environment === undefined ? {} : { environment }),
      steps: list(job['steps'] ?? deploy['steps']).flatMap(azureStep),
    };
  });
}

export const azurePipelines: readonly Workflow[] = filesIn(azureFolder)
  .filter((file) => !file.endsWith('/steps.yml'))
  .map((file) => {
    const source = readFileSync(file, 'utf8');
    const document = block(readYaml(source));
    const stages = [document, ...list(document['stages']).map(block)];
    return { file, document, source, jobs: stages.flatMap((stage) => azureJobs(file, stage)) };
  });

/** The arguments of llama-db in a command, with the values of its variables; undefined for another program. */
export function wordsOf(
  command: string,
  values: Readonly<Record<string, string>> = {},
): string[] | undefined {
  const filled = command.replace(
    /"?\$(?:\{?(\w+)\}?|\(([\w.]+)\))"?/g,
    (_, name, other) => values[name ?? other] ?? 'x',
  );
  const [, own] = /^npx llama-db (.+)$/.exec(filled.replaceAll('"', '')) ?? [];
  return own?.split(/\s+/);
}
