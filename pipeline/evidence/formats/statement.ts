/**
 * `statement.intoto.json`: an in-toto statement (v1) about the files of the pack, with the predicate Simple Verification
 * Result v0.2. It is unsigned; a pipeline signs it with its own identity.
 *
 * Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/svr.md
 */
import { objectsAt, parseJson, textAt } from '../../../core/json.ts';
import { controlsOf, type Report, timeOf } from '../report.ts';

export const statementFile = 'statement.intoto.json';

/** @param digests SHA-256 of every other file of the pack, by path */
export function statementOf(report: Report, digests: readonly (readonly [path: string, digest: string])[]) {
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [...digests]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, sha256]) => ({ name, digest: { sha256 } })),
    predicateType: 'https://in-toto.io/attestation/svr/v0.2',
    predicate: {
      verifier: {
        id: 'urn:llama-mapper:llama-db:evidence',
        policies: [{ name: 'pipeline/evidence/catalogue', digest: { gitCommit: report.commit.hash } }],
      },
      timeCreated: timeOf(report),
      // Only what holds in full is a property; every other verdict is in controls.json.
      properties: controlsOf(report)
        .filter(({ verdict }) => verdict === 'holds')
        .map(({ id }) => `LLAMA_DB_${id.replaceAll('-', '_')}`),
    },
  };
}

/** The digests in a statement, by path. Undefined if the text is not a statement. */
export function subjectsOf(text: string): ReadonlyMap<string, string> | undefined {
  const document = parseJson(text);
  const subjects = objectsAt(document, 'subject').map(
    (one) => [textAt(one, 'name') ?? '', textAt(one, 'digest', 'sha256') ?? ''] as const,
  );
  return subjects.length > 0 ? new Map(subjects) : undefined;
}
