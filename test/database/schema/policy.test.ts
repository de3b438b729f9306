import { beforeAll, describe, expect, it } from 'vitest';
import {
  isTenantBound,
  loadParser,
  readsSettingPerRow,
  readsTable,
  readsTenantUnsafely,
  viewIsTenantBound,
  viewReadsTenantUnsafely,
} from '../../../database/schema/policy.ts';

beforeAll(loadParser);

const setting =
  "( SELECT NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text) AS \"nullif\")";
const bound = `((tenant_id)::text = ${setting})`;

describe('isTenantBound', () => {
  it.each([
    [bound, 'as the server prints it'],
    [`(${bound} AND (model_version = 'v'::text))`, 'with a further condition'],
    [`((model_version IS NOT NULL) AND (${bound} AND (n > 1)))`, 'with AND at two depths'],
    [`((s.tenant_id)::text = ${setting})`, 'of a view'],
    [`(${bound} AND (model_version = 'this or that'::text))`, 'a string may contain any word'],
    [`((tenant_id)::text = ${setting.replace('current_', 'pg_catalog.current_')})`, 'a qualified function'],
  ])('accepts %s (%s)', (condition) => {
    expect(isTenantBound(condition)).toBe(true);
  });

  it.each([
    ['true', 'always true'],
    [`(${bound} OR (model_version = 'public'::text))`, 'OR lets other rows pass'],
    [`(NOT ${bound})`, 'negated'],
    [`((tenant_id)::text <> ${setting})`, 'the other tenants'],
    [`CASE WHEN ${bound} THEN true ELSE true END`, 'CASE is true for every row'],
    [`(COALESCE(${bound}, true) AND ${bound})`, 'COALESCE'],
    [`((owner)::text = ${setting})`, 'another column'],
    [`((tenant_id)::text = ${setting.replace('tenant_id', 'user_id')})`, 'another setting'],
    [`(model_version = '${bound.replaceAll("'", "''")}'::text)`, 'only a string'],
    [`((${bound} AND true) IS DISTINCT FROM true)`, 'AND inside another operator'],
    [`((tenant_id)::character varying(1) = ${setting})`, 'the beginning of a name'],
    [`((tenant_id)::text OPERATOR(llama.=) ${setting})`, 'an operator of another schema'],
    [`((tenant_id)::text = ${setting.replace(' AS "nullif"', ' FROM llama.t')})`, 'a subquery over a table'],
    [`((tenant_id)::text = NULLIF(current_setting('app.current_tenant_id'), ''))`, 'no subquery'],
  ])('refuses %s (%s)', (condition) => {
    expect(isTenantBound(condition)).toBe(false);
  });
});

describe('viewIsTenantBound', () => {
  const view = ` SELECT tenant_id,\n    hour\n   FROM llama.summary s\n  WHERE ${bound};`;

  it('accepts a view whose WHERE limits it to the tenant', () => {
    expect(viewIsTenantBound(view)).toBe(true);
  });

  it('accepts groups and order', () => {
    expect(viewIsTenantBound(`${view.slice(0, -1)}\n  GROUP BY tenant_id, hour\n ORDER BY hour;`)).toBe(true);
  });

  it('refuses UNION, WITH, VALUES and a view without WHERE', () => {
    expect(viewIsTenantBound(` SELECT tenant_id FROM llama.t UNION ALL ${view}`)).toBe(false);
    expect(viewIsTenantBound(` WITH r AS (SELECT 1) ${view}`)).toBe(false);
    expect(viewIsTenantBound(' VALUES (1);')).toBe(false);
    expect(viewIsTenantBound(' SELECT tenant_id FROM llama.t;')).toBe(false);
  });

  it.each([
    [`llama.records r\n     JOIN llama.summary s ON true\n  WHERE ${bound}`, 'a join is bound on one side'],
    [`llama.records r,\n    llama.summary s\n  WHERE ${bound}`, 'a join with a comma'],
    [
      `llama.records r\n  WHERE (r.version IN ( SELECT s.version\n   FROM llama.summary s\n  WHERE ${bound}))`,
      'the condition belongs to a subquery',
    ],
    [
      `( SELECT 'mine' AS tenant_id FROM llama.records) r\n  WHERE ${bound}`,
      'a subquery in FROM names the tenant',
    ],
    [`llama.records r(hour, tenant_id)\n  WHERE ${bound}`, 'an alias names another column tenant_id'],
  ])('refuses FROM %s (%s)', (from) => {
    expect(viewIsTenantBound(` SELECT r.tenant_id\n   FROM ${from};`)).toBe(false);
  });

  it('refuses a subquery in the select list', () => {
    const column = '( SELECT max(r.version) AS max\n   FROM llama.records r) AS newest';
    expect(viewIsTenantBound(view.replace('hour', column))).toBe(false);
  });
});

it('readsSettingPerRow accepts a setting in a subquery only', () => {
  expect(readsSettingPerRow(bound)).toBe(false);
  expect(
    readsSettingPerRow("((tenant_id)::text = current_setting('app.current_tenant_id'::text, true))"),
  ).toBe(true);
  expect(readsSettingPerRow(`(${bound} AND (region = current_setting('app.region'::text)))`)).toBe(true);
});

it('readsTenantUnsafely accepts missing_ok with nullif only', () => {
  expect(readsTenantUnsafely(bound)).toBe(false);
  expect(readsTenantUnsafely("(tenant_id = current_setting('app.current_tenant_id'::text))")).toBe(true);
  expect(readsTenantUnsafely("(tenant_id = current_setting('app.current_tenant_id'::text, true))")).toBe(
    true,
  );
  expect(readsTenantUnsafely('true')).toBe(false);
});

it('viewReadsTenantUnsafely reads every part of a view', () => {
  const view = (condition: string) => ` SELECT 1\n   FROM llama.summary\n  WHERE ${condition};`;
  expect(viewReadsTenantUnsafely(view(bound))).toBe(false);
  expect(viewReadsTenantUnsafely(' VALUES (1);')).toBe(false);
  const unsafe = "(tenant_id = current_setting('app.current_tenant_id'::text, true))";
  expect(viewReadsTenantUnsafely(view(unsafe))).toBe(true);
  expect(viewReadsTenantUnsafely(`( ${view(bound).slice(0, -1)}) UNION ALL ${view(unsafe)}`)).toBe(true);
});

it('readsTable finds a table in a subquery, and no other FROM', () => {
  expect(readsTable('(EXISTS ( SELECT FROM llama.grants g WHERE g.tenant = tenant_id))')).toBe(true);
  expect(readsTable(bound)).toBe(false);
  expect(readsTable("((a IS DISTINCT FROM b) AND (EXTRACT(hour FROM at) > 1) AND (c = 'x FROM y'))")).toBe(
    false,
  );
});
