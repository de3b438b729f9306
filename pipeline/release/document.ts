/** The document of a release, `release.json`. Its digest names the release; it names the digest of every other file. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { canonical, sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';

const hexDigest = z.string().regex(/^[0-9a-f]{64}$/);

/** Files beside `release.json`. The plan holds values of the state; `sealed` is the plan encrypted to the deploying job. */
export const fileNames = {
  stack: 'cdk.tf.json',
  providers: 'terraform.lock.hcl',
  guard: 'guard.json',
  plan: 'plan',
  sealed: 'plan.sealed',
} as const;

const artifact = z.strictObject({
  /** Every released file but those of single environments. */
  code: hexDigest,
  migrations: hexDigest,
  /** migrations/schema.json: what the migrations make. */
  schema: hexDigest,
  packages: hexDigest,
  /** Installed packages that have the same files on every platform. */
  installed: hexDigest,
  /** .terraform.lock.hcl. */
  providers: hexDigest,
});

const waived = z.strictObject({
  address: z.string(),
  impact: z.string(),
  fingerprint: z.string(),
  by: z.string(),
  expires: z.string(),
});

const gate = z.strictObject({ name: z.string(), answer: z.string() });

const document = z.strictObject({
  format: z.literal(1),
  environment: z.string().min(1),
  commit: z.string().regex(/^[0-9a-f]{40,64}$/),
  committedAt: z.string(),
  madeAt: z.iso.datetime(),
  terraform: z.string(),
  artifact,
  /** Every released file, those of environments included. */
  tree: hexDigest,
  stack: hexDigest,
  /** Installed packages that the post-deploy step loads, by path. */
  installed: z.record(z.string(), hexDigest),
  plan: z.strictObject({
    /** Of the plan in clear. */
    digest: hexDigest,
    isSealed: z.boolean(),
    /** The state that the plan was made from; an empty state has no lineage. */
    lineage: z.string(),
    serial: z.int().nonnegative(),
    impact: z.string(),
    counts: z.record(z.string(), z.number()),
    runsPostDeploy: z.boolean(),
    migrations: z.array(z.string()),
    /** Changes beside the releases that were known when the plan was made. */
    drift: z.array(z.string()),
  }),
  guard: z.strictObject({ digest: hexDigest, waived: z.array(waived) }),
  /** The environment that the artifact was proven in, and the answers of the gates. @default - not promoted */
  promotion: z.strictObject({ from: z.string(), releaseDigest: hexDigest, gates: z.array(gate) }).optional(),
});

export type ReleaseDocument = z.infer<typeof document>;
export type Artifact = z.infer<typeof artifact>;

export const digestOfRelease = (release: ReleaseDocument): string => sha256(canonical(release));
export const digestOfArtifact = (parts: Artifact): string => sha256(canonical(parts));

/** @throws Fault `release/unreadable` (exit 2) */
export function readRelease(file: string): ReleaseDocument {
  try {
    return document.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    throw new Fault(
      'release/unreadable',
      `Release ${file}`,
      issue ? `${issue.path.join('.') || 'the document'}: ${issue.message}` : messageOf(error),
      'Name release.json in the folder that llama-db release plan wrote.',
      { exitCode: 2 },
    );
  }
}

/**
 * A file of the release, as it was approved.
 *
 * @param expected its digest. @default - unknown: the caller checks what the file holds
 * @throws Fault `release/file-differs` if its digest is another, `release/file-missing`
 */
export function fileOf(releaseFile: string, name: string, expected?: string): Buffer {
  const path = join(dirname(releaseFile), name);
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw new Fault(
      'release/file-missing',
      `File ${path} of the release`,
      messageOf(error),
      'Copy the whole folder that llama-db release plan wrote.',
      { exitCode: 2 },
    );
  }
  const found = sha256(content);
  if (expected === undefined || found === expected) return content;
  throw new Fault(
    'release/file-differs',
    `File ${path} is not the approved one`,
    `its SHA-256 is ${found.slice(0, 12)}…, and the release names ${expected.slice(0, 12)}…`,
    'Find out who changed it, and make and approve a new release.',
  );
}
