/** The reports: worst first, masked, within their limits, and the comment on a pull request. */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../core/json.ts';
import { postComment } from '../../../pipeline/plan/comment.ts';
import { guard } from '../../../pipeline/plan/guard.ts';
import { renderHtml } from '../../../pipeline/plan/report/html.ts';
import { longestComment, markerOf, renderComment } from '../../../pipeline/plan/report/markdown.ts';
import { renderSarif } from '../../../pipeline/plan/report/sarif.ts';
import { renderText } from '../../../pipeline/plan/report/text.ts';
import { document, guarded, now, resource, server } from './documents.ts';

const recorded = (name: string) =>
  guard(readFileSync(join(import.meta.dirname, 'recorded', `${name}.json`), 'utf8'), {
    environment: 'production',
    isProtected: true,
    waivers: [],
    now,
  });

const secret = 'very-secret-value';
const masked = document([
  resource({
    before: { ...server, zone: secret, brand_new: secret, high_availability: [] },
    after: {
      ...server,
      zone: `${secret}-2`,
      brand_new: `${secret}-2`,
      high_availability: [{ mode: 'SameZone' }],
    },
    sensitive: { zone: true, brand_new: true },
  }),
  resource({
    type: 'azurerm_postgresql_flexible_server_active_directory_administrator',
    actions: ['create'],
    before: null,
    after: { principal_name: secret },
    sensitive: { principal_name: true },
  }),
]);

const many = document(
  Array.from({ length: 900 }, (_, number) =>
    resource({
      address: `module.database["x${'y'.repeat(60)}${number}"].azurerm_postgresql_flexible_server.one`,
      before: server,
      after: { ...server, public_network_access_enabled: true },
    }),
  ),
);

const hostile = document([
  resource({
    address: 'azurerm_postgresql_flexible_server.one["`<img src=x onerror=alert(1)>@everyone\u001b[2J"]',
    before: server,
    after: { ...server, brand_new: '</script><script>alert(1)</script>`@team' },
  }),
]);

describe('a value that Terraform masks', () => {
  it('is in no report', () => {
    const report = guarded(masked);
    for (const text of [
      renderText(report),
      renderComment(report),
      renderHtml(report),
      JSON.stringify(renderSarif(report)),
      JSON.stringify(report),
    ])
      expect(text).not.toContain(secret);
    expect(renderText(report)).toContain('(sensitive)');
  });
});

describe('a masked value in another place', () => {
  const every = (plan: JsonObject) => {
    const report = guarded(plan);
    const texts = [renderText(report), renderComment(report), renderHtml(report)];
    return [...texts, JSON.stringify(renderSarif(report)), JSON.stringify(report)];
  };
  const type = 'azurerm_log_analytics_workspace';
  const other = (more: JsonObject) =>
    resource({ type, address: `${type}.logs`, before: { odd: 'a' }, after: { odd: secret }, ...more });

  it.each<readonly [string, JsonObject]>([
    [
      'in a list of blocks',
      document([
        resource({
          before: server,
          after: { ...server, brand_new: [{ a: 1, deep: [{ token: secret }] }, { deep: [] }] },
          sensitive: { brand_new: [{ deep: [{ token: true }] }, {}] },
        }),
      ]),
    ],
    [
      'below a sensitive key of a map',
      document([
        resource({
          before: server,
          after: { ...server, app_settings: { PASSWORD: secret, COLOUR: 'red' } },
          sensitive: { app_settings: { PASSWORD: true } },
        }),
      ]),
    ],
    [
      'in a value that another resource does not mask',
      document([
        resource({ before: server, after: { ...server, zone: secret }, sensitive: { zone: true } }),
        other({}),
      ]),
    ],
    [
      'in an output',
      document([other({})], {
        output_changes: {
          password: {
            actions: ['update'],
            before: 'old',
            after: secret,
            before_sensitive: true,
            after_sensitive: true,
          },
        },
      }),
    ],
    [
      'in a variable',
      document([other({})], {
        variables: { password: { value: secret } },
        configuration: { root_module: { variables: { password: { sensitive: true } } } },
      }),
    ],
    [
      'in a message of a check',
      document(
        [
          resource({
            actions: ['no-op'],
            before: { ...server, administrator_password: secret },
            after: { ...server, administrator_password: secret },
            sensitive: { administrator_password: true },
          }),
        ],
        {
          applyable: false,
          checks: [
            {
              address: { to_display: 'check.password', kind: 'check' },
              status: 'fail',
              instances: [{ status: 'fail', problems: [{ message: `it is ${secret}` }] }],
            },
          ],
        },
      ),
    ],
  ])('is in no report: %s', (_, plan) => {
    for (const text of every(plan)) expect(text).not.toContain(secret);
  });

  it('has no number that is computed from it', () => {
    const plan = document([
      resource({
        before: server,
        after: { ...server, sku_name: 'GP_Standard_D8s_v3' },
        sensitive: { sku_name: true },
      }),
    ]);
    for (const text of every(plan)) expect(text).not.toMatch(/D8s_v3|8 vCores/);
  });
});

describe('the terminal', () => {
  it.each(['online', 'restart', 'refused'])('has at most 80 columns, worst first (%s)', (name) => {
    const lines = renderText(recorded(name)).split('\n');
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  it('names the worst impact first', () => {
    const text = renderText(recorded('refused'));
    expect(text.indexOf('DATA LOSS')).toBeGreaterThan(0);
    expect(text).toContain('the plan destroys and creates the database');
    expect(text).toContain('GRD-001');
  });
});

describe('the comment', () => {
  it('is empty if nothing changes', () => {
    expect(
      renderComment(guarded(document([resource({ actions: ['no-op'], before: server, after: server })]))),
    ).toBe('');
  });

  it('begins with its marker, and has the worst impact before the others', () => {
    const comment = renderComment(recorded('refused'));
    expect(comment.startsWith(markerOf('production'))).toBe(true);
    expect(comment).toMatch(/#### Data loss/);
  });

  it('stays below its limit, and says how much is left out', () => {
    const comment = renderComment(guarded(many), { link: 'https://ci.example/run/1' });
    expect(comment.length).toBeLessThan(longestComment);
    expect(comment).toContain('more lines are in the whole report');
    expect(comment).toContain('[The whole report](https://ci.example/run/1)');
  });

  it('has no markup and no mention of others', () => {
    const comment = renderComment(guarded(hostile));
    const outside = comment.replace(/(`+)[^`][\s\S]*?\1/g, '');
    expect(outside).not.toMatch(/<img|<script|@everyone|@team/);
  });
});

it('every report marks the numbers of benchmarks that were compared with nothing', () => {
  const report = guarded(
    document([resource({ before: server, after: { ...server, public_network_access_enabled: true } })]),
  );
  for (const text of [renderComment(report), renderHtml(report), renderText(report)])
    expect(text.replace(/\s+/g, ' ')).toContain('MCSB NS-2 (not compared)');
});

describe('names of others in the comment', () => {
  const names = [
    '|a|b|',
    '``',
    '`one` and ``two``',
    '[link](https://evil.example)',
    '![image](https://evil.example/x.png)',
    '<details open><summary>x</summary>',
    '</details>',
    '<!-- llama-db plan: production -->',
    '@team please #1 approve',
    '*b* _i_ ~~s~~ # h',
    '&lt;b&gt;',
    '\u202e reversed \u200b',
    'https://evil.example/path',
    '_www.evil.example',
  ];
  const commentOf = (name: string) => {
    const type = 'azurerm_postgresql_flexible_server_active_directory_administrator';
    return renderComment(
      guarded(
        document(
          [
            resource({
              type,
              address: `${type}.one["${name}"]`,
              actions: ['create'],
              before: null,
              after: { principal_name: name },
            }),
          ],
          {
            checks: [
              {
                address: { to_display: name, kind: 'check' },
                status: 'fail',
                instances: [{ status: 'fail', problems: [{ message: name }] }],
              },
            ],
          },
        ),
      ),
    );
  };

  it.each(names)('are text: %s', (name) => {
    const comment = commentOf(name);
    // Code spans close with as many backticks as they begin with.
    const outside = comment.replace(/(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '').slice(comment.indexOf('\n'));
    expect(outside).not.toMatch(/<(?:details open|\/details|!--)|(?<!\\)\]\(https:..evil|@team|(?<!\\)\|a/);
    expect(outside).not.toMatch(/(?<![\\(])https:\/\/evil|www\.evil/);
    expect(comment).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u200b]/);
    expect(outside).not.toContain('<!--');
  });
});

describe('the page', () => {
  it('has no script, no request, and no markup of others', () => {
    const page = renderHtml(guarded(hostile));
    expect(page).not.toMatch(/<script|<img|<[^>]*(?:src|href)=/);
    expect(page).toContain("default-src 'none'");
  });

  it('draws the chain with its restarts and windows', () => {
    const page = renderHtml(recorded('restart'));
    expect(page).toContain('<svg class="chain"');
    expect(page).toMatch(/<rect class="restart"/);
    expect(page).toContain('restart, 2-10 min');
    const replica = page.indexOf('update azurerm_postgresql_flexible_server.replica');
    expect(replica).toBeGreaterThan(0);
    expect(replica).toBeLessThan(page.indexOf('update azurerm_postgresql_flexible_server.server'));
  });
});

describe('the SARIF document', () => {
  it('has a rule for each result, and a place in the repository', () => {
    const { runs } = renderSarif(recorded('refused'));
    const [run] = runs;
    const ids = run?.tool.driver.rules.map(({ id }) => id) ?? [];
    expect(run?.results.length).toBeGreaterThan(0);
    for (const result of run?.results ?? []) {
      expect(ids[result.ruleIndex]).toBe(result.ruleId);
      expect(result.locations[0]?.physicalLocation.artifactLocation.uri).toBe('environments/production.ts');
    }
  });
});

describe('posting the comment', () => {
  const closing: (() => void)[] = [];
  afterEach(() => {
    for (const close of closing.splice(0)) close();
  });

  /** A platform with comments of others and, later, the guard's own. */
  async function platform(comments: { id: number; body: string }[], status = 200) {
    const http = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const url = new URL(request.url ?? '', 'http://localhost');
        const body: JsonObject = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : {};
        if (request.headers.authorization !== 'Bearer token' || status !== 200) {
          response.writeHead(status === 200 ? 401 : status).end('{}');
          return;
        }
        if (request.method === 'POST')
          comments.push({ id: 1000 + comments.length, body: String(body['body']) });
        if (request.method === 'PATCH') {
          const found = comments.find(({ id }) => url.pathname.endsWith(`/issues/comments/${id}`));
          if (found) found.body = String(body['body']);
        }
        const page = Number(url.searchParams.get('page') ?? 1);
        response.end(
          JSON.stringify(request.method === 'GET' ? comments.slice((page - 1) * 100, page * 100) : {}),
        );
      });
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    closing.push(() => http.close());
    const { port } = http.address() as AddressInfo;
    return {
      GITHUB_API_URL: `http://127.0.0.1:${port}`,
      GITHUB_REPOSITORY: 'o/r',
      GITHUB_TOKEN: 'token',
      PULL_REQUEST: '7',
    };
  }

  const others = Array.from({ length: 120 }, (_, id) => ({ id, body: 'looks good' }));

  it('creates one, edits it in place, and edits it once nothing changes', async () => {
    const comments = [...others];
    const env = await platform(comments);
    const body = renderComment(recorded('refused'));
    await postComment(body, 'production', env);
    await postComment(body.replace('Refused', 'refused again'), 'production', env);
    expect(comments).toHaveLength(121);
    expect(comments.at(-1)?.body).toContain('refused again');
    await postComment(renderComment(recorded('online')), 'staging', env);
    expect(comments).toHaveLength(122);
    await postComment('', 'production', env);
    expect(comments[120]?.body).toContain('nothing changes any more');
    await postComment('', 'development', env);
    expect(comments).toHaveLength(122);
  });

  it('is refused without a token, as for a fork, and if the platform refuses it', async () => {
    await expect(postComment('x', 'production', { GITHUB_REPOSITORY: 'o/r' })).rejects.toMatchObject({
      code: 'plan/comment-not-configured',
    });
    await expect(postComment('x', 'production', await platform([], 403))).rejects.toMatchObject({
      code: 'plan/comment-refused',
    });
  });
});

describe('a check block that does not hold', () => {
  const message = 'one keeps its backups in its own region only, and the settings have geoRedundant: true.';
  const checks = [
    {
      address: { to_display: 'check.server_as_set', kind: 'check', name: 'server_as_set' },
      status: 'fail',
      instances: [{ status: 'fail', problems: [{ message }] }],
    },
  ];
  const still = resource({ actions: ['no-op'], before: server, after: server });

  it('is shown in every report as an edit that Terraform ignores, and other changes are judged', () => {
    const update = resource({ before: server, after: { ...server, backup_retention_days: 15 } });
    const report = guarded(document([update], { checks }));
    expect(report).toMatchObject({ exitCode: 2, impact: 'online' });
    const reports = [
      renderText(report).replace(/\s+/g, ' '),
      renderHtml(report),
      renderComment(report).replaceAll('\\', ''),
    ];
    for (const text of reports) {
      expect(text).toContain('Ignored by Terraform');
      expect(text).toContain(message);
    }
    expect(JSON.stringify(renderSarif(report))).toContain(message);
  });

  it('needs a review if nothing else changes, and says that nothing does', () => {
    const report = guarded(document([still], { checks }));
    expect(report.exitCode).toBe(2);
    expect(renderText(report)).toMatch(/^production: nothing changes, and Terraform ignores an edit\./);
    expect(renderComment(report)).toContain('nothing changes, and Terraform ignores an edit');
  });
});
