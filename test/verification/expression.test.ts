import { describe, expect, it } from 'vitest';
import {
  isTenantBound,
  readsSettingPerRow,
  readsTenantUnsafely,
  viewIsTenantBound,
} from '../../verification/expression.ts';

const setting =
  "( SELECT NULLIF(current_setting('app.current_tenant_id'::text, true), ''::text) AS \"nullif\")";
const bound = `((tenant_id)::text = ${setting})`;

describe('a condition keeps to one tenant', () => {
  it.each([
    [bound, 'as the server prints it'],
    [`(${bound} AND (model_version = 'v'::text))`, 'with a further condition'],
    [`((s.tenant_id)::text = ${setting})`, 'of a view'],
    [`(${bound} AND (model_version = 'this or that'::text))`, 'whatever a text says'],
  ])('%s (%s)', (condition) => {
    expect(isTenantBound(condition)).toBe(true);
  });

  it.each([
    ['true', 'always true'],
    [`(${bound} OR (model_version = 'public'::text))`, 'an OR lets others pass'],
    [`(NOT ${bound})`, 'turned round'],
    [`((tenant_id)::text <> ${setting})`, 'the others'],
    [`CASE WHEN ${bound} THEN true ELSE true END`, 'a case of everything'],
    [`((owner)::text = ${setting})`, 'another column'],
    [`((tenant_id)::text = ${setting.replace('tenant_id', 'user_id')})`, 'another setting'],
    [`(model_version = '${bound.replaceAll("'", "''")}'::text)`, 'only a text'],
    [`((${bound} AND true) IS DISTINCT FROM true)`, 'an AND inside something else'],
    [`((tenant_id)::character varying(1) = ${setting})`, 'the beginning of a name'],
  ])('but not %s (%s)', (condition) => {
    expect(isTenantBound(condition)).toBe(false);
  });
});

describe('a view keeps to one tenant', () => {
  const view = ` SELECT tenant_id,\n    hour\n   FROM llama.summary s\n  WHERE ${bound};`;
  it('when its last WHERE does', () => {
    expect(viewIsTenantBound(view)).toBe(true);
  });
  it('but not when a UNION brings others in, or there is no WHERE', () => {
    expect(viewIsTenantBound(` SELECT tenant_id FROM llama.t UNION ALL ${view}`)).toBe(false);
    expect(viewIsTenantBound(' SELECT tenant_id FROM llama.t;')).toBe(false);
  });

  it.each([
    [`llama.records r\n     JOIN llama.summary s ON true\n  WHERE ${bound}`, 'of a join one side is bound'],
    [`llama.records r,\n    llama.summary s\n  WHERE ${bound}`, 'written with a comma too'],
    [
      `llama.records r\n  WHERE (r.version IN ( SELECT s.version\n   FROM llama.summary s\n  WHERE ${bound}))`,
      'the condition is that of a sub-select',
    ],
    [`( SELECT 'mine' AS tenant_id FROM llama.records) r\n  WHERE ${bound}`, 'FROM says whose rows they are'],
  ])('but not when it reads FROM %s (%s)', (from) => {
    expect(viewIsTenantBound(` SELECT r.tenant_id\n   FROM ${from};`)).toBe(false);
  });

  it('but not when a column is a query of its own', () => {
    const column = '( SELECT max(r.version) AS max\n   FROM llama.records r) AS newest';
    expect(viewIsTenantBound(view.replace('hour', column))).toBe(false);
  });

  it('in groups and order as well', () => {
    expect(viewIsTenantBound(`${view.slice(0, -1)}\n  GROUP BY tenant_id, hour\n ORDER BY hour;`)).toBe(true);
  });
});

it('a setting in a sub-select is read once, any other for every row', () => {
  expect(readsSettingPerRow(bound)).toBe(false);
  expect(
    readsSettingPerRow("((tenant_id)::text = current_setting('app.current_tenant_id'::text, true))"),
  ).toBe(true);
  expect(readsSettingPerRow(`(${bound} AND (region = current_setting('app.region'::text)))`)).toBe(true);
});

it('the tenant is read safely with missing_ok and nullif only', () => {
  expect(readsTenantUnsafely(bound)).toBe(false);
  expect(readsTenantUnsafely("(tenant_id = current_setting('app.current_tenant_id'::text))")).toBe(true);
  expect(readsTenantUnsafely("(tenant_id = current_setting('app.current_tenant_id'::text, true))")).toBe(
    true,
  );
  expect(readsTenantUnsafely('true')).toBe(false);
});
