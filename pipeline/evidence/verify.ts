/** `llama-db evidence verify`: reads a pack as an auditor got it, and compares everything in it with everything else. */

import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import { statementFile, subjectsOf } from './formats/statement.ts';
import { listedIn, sumsFile, sumsOf } from './pack.ts';
import { type Content, contentFindings, type Files, type PackFinding } from './verify-content.ts';

export interface VerifiedPack {
  readonly findings: readonly PackFinding[];
  /** Parts that could not be compared, with the reason. */
  readonly remarks: readonly string[];
  readonly files: number;
  /** SHA-256 of SHA256SUMS. */
  readonly digest: string;
  /** `number:hash` of the audit trail, as the pack has it. */
  readonly auditHead: string | null;
}

/**
 * @param expected SHA-256 of SHA256SUMS, as it was recorded elsewhere
 * @throws Fault (exit 2) if the folder is not a pack
 */
export function verifyPack(directory: string, expected?: string): VerifiedPack {
  const files = readPack(directory);
  const sums = files.get(sumsFile);
  if (!sums) {
    throw new Fault(
      'evidence/not-a-pack',
      `${directory} is not an evidence pack`,
      `it has no ${sumsFile}`,
      'Name the folder that llama-db evidence wrote.',
      { exitCode: 2 },
    );
  }
  const digest = sha256(sums);
  const findings: PackFinding[] = [...digestFindings(files)];
  if (expected !== undefined && expected.toLowerCase() !== digest) {
    findings.push({
      file: sumsFile,
      detail: `has SHA-256 ${digest}, not ${expected}, which names another pack`,
    });
  }
  // The content of a changed pack would only repeat the finding in other words.
  const content = findings.length === 0 ? contentFindings(files) : unread;
  return {
    findings: [...findings, ...content.findings],
    remarks: content.remarks,
    files: files.size,
    digest,
    auditHead: content.auditHead,
  };
}

const unread: Content = {
  findings: [],
  remarks: ['pointers, values and verdicts were not compared, because the files are not those of the pack'],
  auditHead: null,
};

/** @throws Fault (exit 2) if the folder cannot be read */
function readPack(directory: string): Files {
  const files = new Map<string, Buffer>();
  const walk = (folder: string): void => {
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name);
      const found = lstatSync(path);
      if (found.isDirectory()) walk(path);
      else if (found.isFile()) files.set(relative(directory, path).replaceAll(sep, '/'), readFileSync(path));
      // A link has no content of its own: it shows as a file that is missing.
    }
  };
  try {
    walk(directory);
  } catch (error) {
    throw new Fault(
      'evidence/pack-unreadable',
      `The pack ${directory} cannot be read`,
      messageOf(error),
      'Name the folder that llama-db evidence wrote.',
      { exitCode: 2, cause: error },
    );
  }
  return files;
}

/**
 * Files whose digest differs. Two lists have the digests: SHA256SUMS, and the subjects of the statement. If they disagree
 * about a file, the list that the file contradicts was changed.
 */
function digestFindings(files: Files): readonly PackFinding[] {
  const sumsText = files.get(sumsFile)?.toString('latin1') ?? '';
  const sums = listedIn(sumsText);
  const actual = new Map(
    [...files].filter(([path]) => path !== sumsFile).map(([path, content]) => [path, sha256(content)]),
  );
  const subjects = subjectsOf(files.get(statementFile)?.toString('utf8') ?? '');
  const findings: PackFinding[] = [];
  let sumsWrong = false;
  for (const path of new Set([...sums.keys(), ...actual.keys(), ...(subjects?.keys() ?? [])])) {
    const [is, listed, stated] = [actual.get(path), sums.get(path), subjects?.get(path)];
    if (is === listed && (is === stated || path === statementFile)) continue;
    if (is === undefined && stated === undefined && path !== statementFile) sumsWrong = true;
    else if (is === undefined) findings.push({ file: path, detail: 'is missing' });
    else if (is === stated || (path === statementFile && subjects && statesAll(subjects, actual, sums)))
      sumsWrong = true;
    else if (is === listed) {
      // The statement is at fault, unless its own digest shows a change already.
      if (actual.get(statementFile) === sums.get(statementFile))
        findings.push({ file: statementFile, detail: `does not state the digest of ${path}` });
    } else if (listed === undefined && stated === undefined)
      findings.push({ file: path, detail: 'is not part of the pack' });
    else findings.push({ file: path, detail: `was changed: its SHA-256 is ${is}, not ${stated ?? listed}` });
  }
  if (!sumsWrong && findings.length === 0) sumsWrong = sumsText !== sumsOf([...actual]);
  if (sumsWrong)
    findings.push({ file: sumsFile, detail: 'was changed: it does not list the digests of the files' });
  return findings;
}

/** Whether the statement agrees with every file while its own line in SHA256SUMS is the only one that differs. */
function statesAll(
  subjects: ReadonlyMap<string, string>,
  actual: ReadonlyMap<string, string>,
  sums: ReadonlyMap<string, string>,
): boolean {
  const line = sums.get(statementFile);
  const others = [...actual].filter(([path]) => path !== statementFile);
  return line === undefined && others.every(([path, digest]) => subjects.get(path) === digest);
}
