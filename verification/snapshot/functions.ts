/** Functions and extensions. */
import { type Grant, grantsOf } from './grants.ts';
import { mapped, notOfExtension, rows, userSchema } from './source.ts';

export interface Routine {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Names and types of the arguments: data text, key_id text. */
  readonly args: string;
  /** Types of the arguments: text, text. */
  readonly types: string;
  readonly returns: string;
  readonly owner: string;
  readonly language: string;
  readonly securityDefiner: boolean;
  readonly leakproof: boolean;
  readonly settings: readonly string[];
  readonly source: string;
  readonly grants: readonly Grant[];
}

export interface Extension {
  readonly name: string;
  readonly schema: string;
  readonly version: string;
  readonly newestVersion: string | null;
}

export const functionFacts = {
  functions: rows<Routine>(`
    SELECT p.oid, n.nspname AS schema, p.proname AS name, pg_get_function_identity_arguments(p.oid) AS args,
      array_to_string(ARRAY(SELECT format_type(u.type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY u(type, place)
        ORDER BY u.place), ', ') AS types,
      format_type(p.prorettype, NULL) AS returns, pg_get_userbyid(p.proowner) AS owner, l.lanname AS language,
      p.prosecdef AS "securityDefiner", p.proleakproof AS leakproof, coalesce(p.proconfig, '{}') AS settings,
      CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_functiondef(p.oid) END AS source,
      ${grantsOf(`coalesce(p.proacl, acldefault('f', p.proowner))`)} AS grants
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE ${userSchema('n.nspname')} AND ${notOfExtension('pg_proc', 'p.oid')}`),
  extensions: rows<Extension>(`
    SELECT e.extname AS name, n.nspname AS schema, e.extversion AS version, a.default_version AS "newestVersion"
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    LEFT JOIN pg_available_extensions a ON a.name = e.extname`),
  /** Names of the extensions that this server offers, created or not. */
  availableExtensions: mapped(
    rows<{ readonly name: string }>('SELECT name FROM pg_available_extensions'),
    (list) => list.map(({ name }) => name),
  ),
};
