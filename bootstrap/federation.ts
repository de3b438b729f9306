/**
 * The workflows that may sign in as the identities of a pipeline. Each identity trusts one subject: trusting a second form
 * of it would also trust anyone who takes over the name of a deleted repository.
 * https://learn.microsoft.com/entra/workload-id/workload-identity-federation
 */
import { Fault } from '../core/fault.ts';
import type { Purpose } from './roles.ts';

/** Subjects are compared with case (AADSTS7002138). */
export interface Federation {
  /** Name of the federated credentials. */
  readonly credential: 'github' | 'pipeline';
  readonly issuer: string;
  /** The `sub` claim of the tokens that may sign in. */
  readonly subjects: Readonly<Record<Purpose, string>>;
}

/** Options of the command. */
export interface FederationRequest {
  readonly subjectPrefix?: string | undefined;
  readonly issuer?: string | undefined;
  readonly planSubject?: string | undefined;
  readonly deploySubject?: string | undefined;
}

const github = 'https://token.actions.githubusercontent.com';
const longest = 600;
const printPrefix = 'gh api repos/OWNER/REPOSITORY/actions/oidc/customization/sub --jq .sub_claim_prefix';

/**
 * Who may sign in for an environment. At GitHub a pull request may plan, and only a job of the protected environment may
 * apply. Another issuer needs both subjects in full.
 *
 * @throws Fault (exit 2) `bootstrap/subject-missing`, `bootstrap/subject-malformed`, `bootstrap/subjects-equal`,
 * `bootstrap/issuer-malformed`
 */
export function federationOf(request: FederationRequest, environment: string): Federation {
  const { subjectPrefix, issuer, planSubject, deploySubject } = request;
  if (issuer === undefined && planSubject === undefined && deploySubject === undefined)
    return githubFederation(subjectPrefix, environment);
  if (subjectPrefix !== undefined)
    throw refusal(
      'bootstrap/subject-malformed',
      '--subject-prefix is for GitHub and excludes --issuer, --plan-subject and --deploy-subject',
      'Give either the prefix, or an issuer with both subjects.',
    );
  if (issuer === undefined || planSubject === undefined || deploySubject === undefined)
    throw refusal(
      'bootstrap/subject-missing',
      'an issuer needs the subject that plans and the subject that deploys',
      'Give --issuer, --plan-subject and --deploy-subject together.',
    );
  if (!URL.canParse(issuer) || new URL(issuer).protocol !== 'https:' || issuer.length > longest)
    throw refusal(
      'bootstrap/issuer-malformed',
      `--issuer is ${JSON.stringify(issuer)}, not an https URL of at most ${longest} characters`,
      'Give the iss claim of the tokens of your pipeline, to the letter.',
    );
  for (const [option, subject] of [
    ['--plan-subject', planSubject],
    ['--deploy-subject', deploySubject],
  ] as const)
    if (!/^[^\s*]+(?: [^\s*]+)*$/.test(subject) || subject.length > longest)
      throw refusal(
        'bootstrap/subject-malformed',
        `${option} is ${JSON.stringify(subject)}, not a subject of 1 to ${longest} characters without wildcards`,
        'Give the sub claim of the tokens of your pipeline, to the letter.',
      );
  if (planSubject === deploySubject)
    throw refusal(
      'bootstrap/subjects-equal',
      'the same subject would plan and deploy, so that every pull request could deploy',
      'Give the deploying job a subject of its own, for example that of a protected branch or service connection.',
    );
  return { credential: 'pipeline', issuer, subjects: { plan: planSubject, deploy: deploySubject } };
}

/** Repositories created, renamed or transferred since 2026-07-15 present the ids of owner and repository. */
function githubFederation(prefix: string | undefined, environment: string): Federation {
  if (prefix === undefined)
    throw refusal(
      'bootstrap/subject-missing',
      'nothing says which workflows may sign in',
      `Give --subject-prefix; ${printPrefix} prints it. See docs/bootstrap.md for Azure DevOps and GitLab.`,
    );
  const ids = /^repo:[\w.-]+(@\d+)?\/[\w.-]+(@\d+)?$/.exec(prefix);
  if (!ids || (ids[1] === undefined) !== (ids[2] === undefined))
    throw refusal(
      'bootstrap/subject-malformed',
      `--subject-prefix is ${JSON.stringify(prefix)}, not repo:OWNER@ID/REPOSITORY@ID or repo:OWNER/REPOSITORY`,
      `Give what ${printPrefix} prints.`,
    );
  return {
    credential: 'github',
    issuer: github,
    subjects: { plan: `${prefix}:pull_request`, deploy: `${prefix}:environment:${environment}` },
  };
}

type Code =
  | 'bootstrap/subject-missing'
  | 'bootstrap/subject-malformed'
  | 'bootstrap/subjects-equal'
  | 'bootstrap/issuer-malformed';

const refusal = (code: Code, why: string, remedy: string) =>
  new Fault(code, 'bootstrap cannot trust a pipeline', why, remedy, { exitCode: 2 });
