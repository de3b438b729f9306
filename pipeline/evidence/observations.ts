/** Documents that were observed outside the repository: each is read here, and goes into the pack unchanged. */
import { sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import { isObject, type JsonObject, objectsAt, parseJson, textAt } from '../../core/json.ts';
import { type Observation, type Release, utc } from './report.ts';

export interface Given {
  readonly kind: Observation['kind'];
  readonly text: string;
  /** Name of the file or target it came from, for messages. */
  readonly origin: string;
}

export interface Read extends Observation {
  readonly document: JsonObject;
  readonly text: string;
}

/** Commands that write each document, for remedies. */
const commands: Readonly<Record<Observation['kind'], string>> = {
  verification: 'llama-db verify <environment> --json --output <file>',
  releases: 'llama-db evidence <environment> --live, which reads them from the database',
  guard: 'the guard of the plan, with --json',
  audit: 'llama-db audit verify <environment> --json',
};

/**
 * Reads one document.
 *
 * @throws Fault (exit 2) if it is not of its kind, or describes another environment
 */
export function readObservation({ kind, text, origin }: Given, environment: string): Read {
  const document = parseJson(text);
  if (!isObject(document)) throw malformed(kind, origin, 'it is not a JSON object');
  const named = kind === 'releases' ? undefined : textAt(document, 'environment');
  if (named !== undefined && named !== environment) throw otherEnvironment(kind, origin, named, environment);
  if (kind === 'verification') checkVerification(document, origin);
  if (kind === 'releases') {
    if (!Array.isArray(document['releases'])) throw malformed(kind, origin, 'it has no list `releases`');
    const other = objectsAt(document, 'releases').find((one) => textAt(one, 'environment') !== environment);
    if (other)
      throw otherEnvironment(kind, origin, textAt(other, 'environment') ?? 'no environment', environment);
  }
  if (kind === 'audit' && headOf(document) === undefined && document['head'] !== null) {
    throw malformed(kind, origin, 'it has no `head` with number and hash');
  }
  return {
    kind,
    file: `observations/${kind}.json`,
    sha256: sha256(text),
    at: utc(document['at']) ?? latestRelease(document),
    document,
    text,
  };
}

function latestRelease(document: JsonObject): string | null {
  return (
    objectsAt(document, 'releases')
      .flatMap((one) => utc(one['at']) ?? [])
      .sort()
      .at(-1) ?? null
  );
}

function checkVerification(document: JsonObject, origin: string): void {
  if (!Array.isArray(document['checks'])) {
    throw malformed('verification', origin, 'it has no list `checks`');
  }
  if (utc(document['at']) === undefined) {
    throw malformed('verification', origin, 'it does not say when it looked (`at`)');
  }
  if (textAt(document, 'environment') === undefined) {
    throw new Fault(
      'evidence/verification-unnamed',
      `The verification in ${origin} names no environment`,
      'it ran against a URL alone, so nothing shows which database it saw',
      'Run llama-db verify with the name of the environment, or with LLAMA_DB_DEPLOYMENT.',
      { exitCode: 2 },
    );
  }
}

function malformed(kind: Observation['kind'], origin: string, why: string): Fault {
  return new Fault(
    'evidence/observation-malformed',
    `${origin} is not a document of kind ${kind}`,
    why,
    `Give the output of ${commands[kind]}.`,
    { exitCode: 2 },
  );
}

function otherEnvironment(kind: string, origin: string, named: string, environment: string): Fault {
  return new Fault(
    'evidence/other-environment',
    `The ${kind} document ${origin} describes ${named}, not ${environment}`,
    'evidence of one environment proves nothing about another',
    `Give the document of ${environment}.`,
    { exitCode: 2 },
  );
}

/** Release records of the environment, oldest first. */
export function releasesIn(document: JsonObject): readonly Release[] {
  return objectsAt(document, 'releases')
    .map((one) => ({
      at: utc(one['at']) ?? '',
      outcome: textAt(one, 'outcome') ?? 'unknown',
      executor: textAt(one, 'executor') ?? '',
      migrationsDigest: textAt(one, 'migrationsDigest') ?? '',
      auditHead: textAt(one, 'auditHead') ?? null,
    }))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

/** `number:hash` of the head in the output of `llama-db audit head` or `audit verify`. */
export function headOf(document: JsonObject): string | undefined {
  const { head } = document;
  if (!isObject(head)) return undefined;
  const number = String(head['number'] ?? '');
  const hash = textAt(head, 'hash') ?? '';
  return /^\d+$/.test(number) && /^[0-9a-f]{64}$/.test(hash) ? `${number}:${hash}` : undefined;
}
