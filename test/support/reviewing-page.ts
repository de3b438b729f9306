/** The page docs/reviewing.md: its comments are those of recorded plans. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { guard } from '../../pipeline/plan/guard.ts';
import { impacts, impactTexts } from '../../pipeline/plan/impacts.ts';
import { renderComment } from '../../pipeline/plan/report/markdown.ts';
import { refusalRules } from '../../pipeline/plan/rules.ts';
import { longestDays } from '../../pipeline/plan/waivers.ts';
import { renderMarkdown } from '../../rehearsal/preview/markdown.ts';

const folder = join(import.meta.dirname, '../pipeline/plan/recorded');

function commentOf(name: string): string {
  const report = guard(readFileSync(join(folder, `${name}.json`), 'utf8'), {
    environment: 'production',
    isProtected: true,
    waivers: [],
    now: new Date('2026-11-27T12:00:00Z'),
  });
  return quoted(renderComment(report));
}

/** In a quotation, a heading is not one of this page. */
function quoted(markdown: string): string {
  return markdown
    .trim()
    .split('\n')
    .map((line) => `> ${line.replace(/^#+ (.*)$/, '**$1**')}`.trimEnd())
    .join('\n');
}

/** The section of a recorded preview, as a quotation. */
function previewOf(name: string): string {
  const file = join(import.meta.dirname, '../rehearsal/recorded', `preview-${name}.json`);
  return quoted(renderMarkdown(JSON.parse(readFileSync(file, 'utf8'))));
}

export function reviewingPage(): string {
  return `# Reviewing a change of an environment

\`llama-db plan\` says what a change does to the database before anybody approves it: a restart, an empty server, a control
that fails afterwards. It reads Terraform's plan, so it knows what Terraform will do; a table with a source and a date per row says
what Azure does then. It does not guess: an attribute without a row is *unknown*.

\`\`\`
npx llama-db plan production                          # synthesize, plan with Terraform, judge
npx llama-db plan production --plan plan.json         # judge the output of terraform show -json
npx llama-db plan production --out review             # also write the reports
\`\`\`

The command changes nothing and takes no lease on the state, so the plan identity of [bootstrap.md](bootstrap.md) suffices. With
\`--plan\` it needs neither Azure nor Terraform.

| exit status | meaning |
|---|---|
| 0 | nothing changes |
| 1 | an error, or a plan that cannot be judged whole |
| 2 | changes |
| 3 | refused |

\`--out\` writes \`comment.md\`, \`guard.html\` (one page with the chain of operations), \`guard.sarif\`, \`guard.json\` and \`plan.json\`.
The plan holds values of the state, and the reports hold none that Terraform masks. Publish the reports, and not the plan.

Pending migrations are those that the plan's post-deploy step would run. Each has its lint findings and its locks. With
\`--released <file>\`, the schema manifest of the deployed release (\`git show <tag>:migrations/schema.json\`), the report also has the
changes of the schema.

## Impacts

Worst first. A change has all impacts that apply.

| impact | meaning |
|---|---|
${impacts.map((impact) => `| ${impactTexts[impact].title} | ${impactTexts[impact].means} |`).join('\n')}

A plan of later Terraform, with an error, deferred changes, a failed condition, an unknown key or an unknown action is refused with
status 1 and a code of [faults.md](faults.md).

*Ignored by Terraform* lists the \`check\` blocks that do not hold. Those of this project name a setting that differs from what is
in force and that Terraform leaves as it is: a zone, a disk with auto-grow, geo-redundancy. The edit of such a setting changes
nothing, and the plan exits 2 so that a reviewer sees it.

A change that turns a passed control into a failed one names it: first the controls of [evidence.md](evidence.md), then those of
benchmarks and scanners. A number with *(not compared)* was compared with no copy of its benchmark: do so before you quote it.

## An online change

\`work_mem\` in \`environments/production.ts\`:

${commentOf('online')}

## A restart

\`server.sku\` one size larger, the replica first:

${commentOf('restart')}

## A refused replacement

Another \`database.collation\`, with the lock lifted and \`preventDestroy\` off:

${commentOf('refused')}

## The change, rehearsed

A plan knows what documents say. A preview shows it:

\`\`\`
npx llama-db preview production --from main                # on this machine; nothing reaches Azure
npx llama-db preview production --from main --rows 1000000 # larger tables under the migrations
npx llama-db preview production --from main --out review   # also preview.json, preview.md and preview.html
\`\`\`

The command copies the sources of the git ref to a scratch folder and deploys them to the local Azure of
[rehearsal.md](rehearsal.md), with the real Terraform, azurerm and PostgreSQL. Then it deploys this checkout on top, uncommitted
edits included. Meanwhile a client with the application's login writes to each table of tenants and reads each of its columns
through the environment's host names. It has no pool and no retries, so it sees each refusal.

| part of the report | its source |
|---|---|
| restarts and failovers | events of the local Azure that PostgreSQL repeated |
| outages | from the first failure of a connection until the next statement that succeeds |
| refused statements | by SQLSTATE, with the table if the server stays up: the deployed application fails so |
| locks of a migration | modes that block others, seen every 5 ms, on tables filled with \`--rows\` rows |
| second plan | a plan after the change; it must be empty |
| findings | those of \`llama-db verify\` that the base does not have |

A partition counts as its table. Times are those of this machine, and Azure's differ: a restart takes 40 to 60 s there. Counts,
order, locks and refusals are the same. The number of refused connections depends on the time as well. Alerts, locks, diagnostic
settings and, without a long-term backup, role assignments are left out, because azurerm polls for them and no client notices them;
\`--complete\` deploys alerts, locks and the others too. The programs are those of a rehearsal, with the same exit status 3 if one is missing.

| exit status | meaning |
|---|---|
| 0 | the change deploys, the second plan is empty, and there is no new finding |
| 1 | the change fails, or leaves a plan or a finding |
| 2 | bad usage: an unknown environment or ref |
| 3 | a program must be installed |

Another size leaves a finding, AZU-038, and so ends with 1: Azure keeps the memory parameters of the size that the server was
created with. It lists the values to put into \`server.parameters\`.

A static parameter in \`environments/development.ts\`, as the section of a comment:

${previewOf('restart')}

A migration that adds a column with a volatile default, and so rewrites its table. The schema manifest was not written anew:

${previewOf('migration')}

\`llama-db plan production --preview review/preview.md --post\` puts the section into the comment of the plan. Its picture
is a Gantt chart in Mermaid, which GitHub and GitLab draw: at most 24 bars, the outages among them. \`preview.html\` has the
whole timeline: operations, restarts, outages and locks on one axis.

## Refusals and waivers

In an environment that its settings protect (\`protection.deletionLock\` or \`protection.preventDestroy\`), these rules refuse a plan:

| rule | assertion | why |
|---|---|---|
${refusalRules.map(({ id, title, why }) => `| ${id} | ${title} | ${why} |`).join('\n')}

A waiver in \`environments/waivers.json\` accepts one change. It is reviewed with the change itself:

\`\`\`json
{
  "waivers": [
    {
      "environment": "production",
      "address": "azurerm_postgresql_flexible_server_database.database",
      "impact": "data-loss",
      "fingerprint": "0123456789abcdef",
      "reason": "The database is empty until the first import.",
      "by": "name of the person who accepts it",
      "expires": "2026-12-31"
    }
  ]
}
\`\`\`

The refusal prints impact and fingerprint. The fingerprint covers the deciding values before and after, so the waiver does not cover
the next change of the same address. A waiver reaches at most ${longestDays} days ahead.

## In a pull request

\`llama-db plan <environment> --post\` posts the comment on GitHub, with \`GITHUB_TOKEN\` and \`GITHUB_REPOSITORY\` of the job and the number
from \`PULL_REQUEST\` or \`GITHUB_REF\`. It edits its earlier comment, which begins with a marker of the environment, and posts none
if nothing changes. A fork gets no token: the command then fails with \`plan/comment-not-configured\`. For another platform, post
\`comment.md\` by a step of its own.
`;
}
