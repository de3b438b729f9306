/** Posts the comment on a pull request by the platform's own interface: one per environment, edited in place. */

import { Fault } from '../../core/fault.ts';
import { isObject, type Json, numberAt, textAt } from '../../core/json.ts';
import { messageOf } from '../../core/text.ts';
import { markerOf } from './report/markdown.ts';

/** Pages of comments that are searched for an earlier one. */
const mostPages = 20;
const perPage = 100;

/**
 * Creates or edits the comment. An empty one edits an earlier comment, and creates none.
 *
 * @param env variables of GitHub Actions: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, and PULL_REQUEST, the number
 * @returns a line for the log
 * @throws Fault `plan/comment-not-configured` or `plan/comment-refused`
 */
export async function postComment(
  body: string,
  environment: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const {
    GITHUB_API_URL: url = 'https://api.github.com',
    GITHUB_REPOSITORY: repository,
    GITHUB_TOKEN: token,
  } = env;
  const number = env['PULL_REQUEST'] ?? /^refs\/pull\/(\d+)\//.exec(env['GITHUB_REF'] ?? '')?.[1];
  if (!repository || !token || !number || !/^\d+$/.test(number))
    throw new Fault(
      'plan/comment-not-configured',
      'The comment cannot be posted',
      'GITHUB_REPOSITORY, GITHUB_TOKEN or the number of the pull request (PULL_REQUEST) is not set; a fork gets no token',
      'Set them, or post comment.md of --out by a step of your platform.',
    );
  const comments = `${url}/repos/${repository}/issues`;
  const ask = (method: string, path: string, content?: object) =>
    request(`${comments}${path}`, method, token, content);
  const marker = markerOf(environment);
  const existing = await find(
    async (page) => ask('GET', `/${number}/comments?per_page=${perPage}&page=${page}`),
    marker,
  );
  if (existing !== undefined) {
    await ask('PATCH', `/comments/${existing}`, {
      body: body === '' ? `${marker}\n${environment}: nothing changes any more.` : body,
    });
    return `Edited the comment on pull request ${number}`;
  }
  if (body === '') return 'Nothing changes, so no comment is posted';
  await ask('POST', `/${number}/comments`, { body });
  return `Posted the comment on pull request ${number}`;
}

async function find(page: (number: number) => Promise<Json>, marker: string): Promise<number | undefined> {
  for (let number = 1; number <= mostPages; number += 1) {
    const found = await page(number);
    const list = Array.isArray(found) ? found.filter(isObject) : [];
    const own = list.find((one) => textAt(one, 'body')?.startsWith(marker));
    if (own) return numberAt(own, 'id');
    if (list.length < perPage) return undefined;
  }
  return undefined;
}

async function request(url: string, method: string, token: string, content?: object): Promise<Json> {
  const refused = (why: string) =>
    new Fault(
      'plan/comment-refused',
      'The platform did not take the comment',
      why,
      'Give the token the right to write pull requests, and run the command again.',
    );
  try {
    const answer = await fetch(url, {
      method,
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'x-github-api-version': '2022-11-28',
      },
      ...(content ? { body: JSON.stringify(content) } : {}),
      signal: AbortSignal.timeout(30_000),
    });
    if (!answer.ok) throw refused(`${method} was answered ${answer.status}`);
    return (await answer.json()) as Json;
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw refused(messageOf(error));
  }
}
