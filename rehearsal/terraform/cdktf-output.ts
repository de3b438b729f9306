/**
 * Reads the output of the cdktf command line, which has no machine-readable format. It prints Terraform's output for
 * people, with the stack's name before the first line of each message and the other lines indented as far.
 */
import { stripVTControlCharacters } from 'node:util';
import type { Ended, Line } from '../../local/processes/program.ts';
import type { Difference, Phase } from './deployer.ts';
import type { Diagnostic, ResourceRun } from './stack.ts';

interface Read
  extends Pick<Difference, 'diagnostics' | 'resources' | 'steps' | 'phases' | 'isEmpty' | 'changes'> {
  /** Whether the diagnostics are Terraform's. Otherwise they are the last lines. */
  readonly quotesTerraform: boolean;
}

const actions: Readonly<Record<string, string>> = {
  Creating: 'create',
  Creation: 'create',
  Modifying: 'update',
  Modifications: 'update',
  Destroying: 'delete',
  Destruction: 'delete',
};

const planned: Readonly<Record<string, string>> = {
  'will be created': 'create',
  'will be updated in-place': 'update',
  'will be destroyed': 'delete',
  'must be replaced': 'replace',
  'will be replaced, as requested': 'replace',
  'is tainted, so must be replaced': 'replace',
};

/** @param verb the command: deploy, diff or destroy */
export function readCdktf(ended: Ended, stack: string, verb: string): Read {
  const lines = ended.lines.map(({ at, text }) => ({ at, text: withoutFrame(text, stack) }));
  return {
    resources: resourcesOf(lines),
    steps: lines.flatMap(({ at, text }) => {
      const line = /^terraform_data\.\S+ \(local-exec\): (.+)$/.exec(text)?.[1];
      return line === undefined || line.startsWith('Executing:') ? [] : [{ at, text: line }];
    }),
    changes: lines.flatMap(({ text }) => changeOf(text) ?? []),
    isEmpty: lines.some(({ text }) => text.startsWith('No changes. Your infrastructure matches')),
    diagnostics: diagnosticsOf(lines, ended.exitCode),
    quotesTerraform: lines.some(({ text }) => text.startsWith('Error: ')),
    phases: phasesOf(lines, ended, verb),
  };
}

function withoutFrame(text: string, stack: string): string {
  const plain = stripVTControlCharacters(text).trimEnd();
  const unframed = (plain.startsWith(`${stack} `) ? plain.slice(stack.length) : plain).replace(
    /^[\s│╷╵|]+/,
    '',
  );
  return unframed.replace(constructPath, '$1');
}

/** cdktf writes the path of its construct after each address of Terraform: `azurerm_subnet.x (network/Subnet)`. */
const constructPath = /(\b[a-z][a-z0-9]*_\w+\.[\w-]+(?:\[[^\]]*\])?) \((?!local-exec\))[^()\s]+\)/g;

function resourcesOf(lines: readonly Line[]): ResourceRun[] {
  const open = new Map<string, { readonly action: string; readonly at: number }>();
  const done = lines.flatMap(({ at, text }): ResourceRun[] => {
    const began = /^(\S+\.\S+): (Creating|Modifying|Destroying)\.\.\./.exec(text);
    if (began) open.set(began[1] ?? '', { action: actions[began[2] ?? ''] ?? '', at });
    const ended =
      /^(\S+\.\S+): (Creation|Modifications|Destruction) complete after \S+(?: \[id=(.*)\])?/.exec(text);
    if (!ended) return [];
    const [, address = '', word = '', id] = ended;
    const start = open.get(address)?.at ?? at;
    open.delete(address);
    return [
      {
        address,
        action: actions[word] ?? '',
        ...{ startedAt: start, endedAt: at, seconds: (at - start) / 1000, outcome: 'complete' },
        ...(id === undefined ? {} : { id }),
      },
    ];
  });
  const last = lines.at(-1)?.at ?? 0;
  const broken = [...open].map(([address, { action, at }]): ResourceRun => {
    const seconds = (last - at) / 1000;
    return { address, action, startedAt: at, endedAt: last, seconds, outcome: 'errored' };
  });
  return [...done, ...broken];
}

function changeOf(text: string): string | undefined {
  const found = /^# (\S+\.\S+) (.+)$/.exec(text);
  const action = found && planned[found[2] ?? ''];
  return action === undefined || action === null ? undefined : `${action} ${found?.[1]}`;
}

/** Lines that no longer belong to an error. */
const after = /^(?:Warning: |\d+ Stacks? \w+|Invoking Terraform CLI failed)/;

/** An error begins with `Error:`, names an address, and continues until the next error, a warning or cdktf's own words. */
function diagnosticsOf(lines: readonly Line[], exitCode: number): Diagnostic[] {
  const found: { summary: string; address?: string; detail: string[] }[] = [];
  let isInside = false;
  for (const { text } of lines) {
    const error = /^Error: (.*)$/.exec(text);
    const current = found.at(-1);
    isInside = error !== null || (isInside && !after.test(text));
    if (error) found.push({ summary: error[1] ?? '', detail: [] });
    else if (current && isInside) {
      const address = /^with (\S+?),?$/.exec(text)?.[1];
      if (address !== undefined) current.address ??= address;
      else if (text !== '' && !/^(?:on \S+ line|\d+:)/.test(text)) current.detail.push(text);
    }
  }
  if (found.length === 0 && exitCode !== 0) {
    const texts = lines.map(({ text }) => text).filter((text) => text !== '');
    return [{ severity: 'error', summary: texts.slice(-3).join(' ') }];
  }
  return found.map(({ summary, address, detail }) => ({
    severity: 'error',
    summary,
    ...(address === undefined ? {} : { address }),
    ...(detail.length === 0 ? {} : { detail: detail.slice(0, 12).join(' ') }),
  }));
}

function phasesOf(lines: readonly Line[], ended: Ended, verb: string): Phase[] {
  const first = (words: RegExp) => lines.find(({ text }) => words.test(text))?.at;
  const marks: readonly (readonly [string, number | undefined])[] = [
    ['synthesis', ended.startedAt],
    ['initialisation', first(/^Initializing /)],
    ['plan', first(/^Terraform has been successfully initialized/)],
    [verb === 'destroy' ? 'destroy' : 'apply', first(/: (?:Creating|Modifying|Destroying)\.\.\./)],
  ];
  const seen = marks.flatMap(([name, at]) => (at === undefined ? [] : [{ name, at }]));
  return seen.map(({ name, at }, index) => ({
    name,
    startedAt: at,
    endedAt: seen[index + 1]?.at ?? ended.endedAt,
  }));
}
