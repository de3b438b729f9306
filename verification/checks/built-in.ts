/** Objects outside schema llama that change what a statement means: the server's own, those of extensions, and added ones. */
import type pg from 'pg';
import { isPlatform } from '../../database/overrides.ts';
import { rolledBack } from '../../database/transaction.ts';
import { type CheckInput, checksOf } from '../check.ts';
import { everyAdministrator, modelOf } from '../model.ts';
import { counted, judge } from '../outcome.ts';

/** Objects below this oid are PostgreSQL's own. Source: transam.h, FirstNormalObjectId. */
const firstOwn = 16_384;

/** Condition: no extension contains the object. */
const ofNoExtension = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = '${catalog}'::regclass AND d.objid = ${oid} AND d.deptype = 'e')`;

/** Condition: the object is in another schema than llama, which database postgres does not have. */
const elsewhere = (column: string) =>
  `${column} IS DISTINCT FROM to_regnamespace('llama') AND ${column}::regnamespace::text !~ '^pg_t(oast|emp)'`;

/** A row of a query below, with the role that owns the object or gave the privilege. */
interface Made {
  readonly by: string;
}

/**
 * Rows of a query, without those that the platform's superuser made in database postgres too: they belong to Azure's build of
 * the server, and nobody else could make or remove them. If that database accepts no connection, they stay.
 */
async function ofThisDatabase<Row extends Made>(
  { client, openDatabase, snapshot }: CheckInput,
  query: string,
): Promise<readonly Row[]> {
  const read = (within: pg.Client) =>
    rolledBack(within, async () => (await within.query<Row & pg.QueryResultRow>(query)).rows);
  const here = await read(client);
  const superuser = snapshot.roles.find(({ bootstrap }) => bootstrap)?.name ?? '';
  const platforms = ({ by }: Made) => by === superuser && isPlatform(superuser);
  if (!openDatabase || snapshot.server.database === 'postgres' || !here.some(platforms)) return here;
  const there = await openDatabase('postgres', read).catch((): readonly Row[] => []);
  const known = new Set(there.map((row) => JSON.stringify(row)));
  return here.filter((row) => !platforms(row) || !known.has(JSON.stringify(row)));
}

/** Kinds that no other check lists: catalog, schema column or NULL, owner column, name. */
const kinds: readonly (readonly [
  kind: string,
  catalog: string,
  space: string | undefined,
  owner: string,
  name: string,
])[] = [
  ['operator', 'pg_operator', 'oprnamespace', 'oprowner', 'oid::regoperator'],
  ['operator class', 'pg_opclass', 'opcnamespace', 'opcowner', 'opcname'],
  ['operator family', 'pg_opfamily', 'opfnamespace', 'opfowner', 'opfname'],
  ['conversion', 'pg_conversion', 'connamespace', 'conowner', 'conname'],
  ['collation', 'pg_collation', 'collnamespace', 'collowner', 'collname'],
  ['text search configuration', 'pg_ts_config', 'cfgnamespace', 'cfgowner', 'cfgname'],
  ['text search dictionary', 'pg_ts_dict', 'dictnamespace', 'dictowner', 'dictname'],
  ['statistics', 'pg_statistic_ext', 'stxnamespace', 'stxowner', 'stxname'],
  ['language', 'pg_language', undefined, 'lanowner', 'lanname'],
];

const added = [
  ...kinds.map(
    ([kind, catalog, space, owner, name]) => `
      SELECT '${kind} ' || ${space ? `o.${space}::regnamespace || '.' || ` : ''}o.${name}::text AS object, pg_get_userbyid(o.${owner}) AS by
        FROM ${catalog} AS o WHERE o.oid >= ${firstOwn} AND ${ofNoExtension(catalog, 'o.oid')}${space ? ` AND ${elsewhere(`o.${space}`)}` : ''}`,
  ),
  // A row type belongs to its table, and an array type to its element.
  `SELECT 'type ' || o.oid::regtype, pg_get_userbyid(o.typowner) FROM pg_type AS o
    WHERE o.oid >= ${firstOwn} AND (o.typtype IN ('b', 'd', 'e', 'r') OR EXISTS (SELECT FROM pg_class AS c WHERE c.oid = o.typrelid AND c.relkind = 'c')) AND o.typcategory <> 'A' AND ${elsewhere('o.typnamespace')}
      AND ${ofNoExtension('pg_type', 'o.oid')}`,
  `SELECT 'transform of ' || o.trftype::regtype || ' for ' || l.lanname, pg_get_userbyid(t.typowner)
     FROM pg_transform AS o JOIN pg_language AS l ON l.oid = o.trflang JOIN pg_type AS t ON t.oid = o.trftype WHERE o.oid >= ${firstOwn} AND ${ofNoExtension('pg_transform', 'o.oid')}`,
  // Only a superuser makes the next three, and nobody owns them.
  ...[
    ['parser', 'pg_ts_parser', 'prs'],
    ['template', 'pg_ts_template', 'tmpl'],
  ].map(
    ([kind, catalog = '', prefix]) =>
      `SELECT 'text search ${kind} ' || o.${prefix}namespace::regnamespace || '.' || o.${prefix}name, pg_get_userbyid(10) FROM ${catalog} AS o
        WHERE o.oid >= ${firstOwn} AND ${ofNoExtension(catalog, 'o.oid')}`,
  ),
  `SELECT 'access method ' || o.amname, pg_get_userbyid(10) FROM pg_am AS o WHERE o.oid >= ${firstOwn} AND ${ofNoExtension('pg_am', 'o.oid')}`,
  `SELECT 'function ' || o.oid::regprocedure, pg_get_userbyid(o.proowner) FROM pg_proc AS o
    WHERE o.oid >= ${firstOwn} AND o.pronamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND ${ofNoExtension('pg_proc', 'o.oid')}`,
  `SELECT 'relation ' || o.oid::regclass, pg_get_userbyid(o.relowner) FROM pg_class AS o
    WHERE o.oid >= ${firstOwn} AND o.relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND ${ofNoExtension('pg_class', 'o.oid')}`,
  `SELECT 'rule ' || o.rulename || ' on ' || o.ev_class::regclass, pg_get_userbyid(c.relowner) FROM pg_rewrite AS o JOIN pg_class AS c ON c.oid = o.ev_class
    WHERE o.oid >= ${firstOwn} AND c.oid < ${firstOwn}`,
  `SELECT 'foreign key ' || o.conname || ' of ' || o.conrelid::regclass || ' to ' || o.confrelid::regclass, pg_get_userbyid(c.relowner)
     FROM pg_constraint AS o JOIN pg_class AS c ON c.oid = o.conrelid JOIN pg_class AS t ON t.oid = o.confrelid
    WHERE o.contype = 'f' AND t.relnamespace = to_regnamespace('llama') AND c.relnamespace <> t.relnamespace`,
  // The default search_path begins with it.
  `SELECT 'schema ' || o.nspname || ' of the name of a login', pg_get_userbyid(o.nspowner) FROM pg_namespace AS o JOIN pg_roles AS r ON r.rolname = o.nspname
    WHERE r.rolcanlogin`,
].join(' UNION ALL ');

/** Extensions of migration 0001; EXT-006 reports further ones. */
const extensions = ['pg_stat_statements', 'pg_buffercache', 'pgcrypto', 'uuid-ossp', 'btree_gin', 'pg_trgm'];

const ofExtension = `EXISTS (
  SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
   WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
     AND e.extname IN (${extensions.map((name) => `'${name}'`).join(', ')}))`;

/** Functions of PostgreSQL and of the project's extensions, none of which runs as its owner or sets anything. */
const altered = `
  SELECT 'function ' || p.oid::regprocedure AS object, concat_ws(', ',
           CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' END,
           CASE WHEN p.proconfig IS NOT NULL THEN 'SET ' || array_to_string(p.proconfig, ', ') END,
           CASE WHEN p.proleakproof AND p.oid >= ${firstOwn} THEN 'LEAKPROOF' END) AS detail, pg_get_userbyid(p.proowner) AS by
    FROM pg_proc AS p
   WHERE (p.oid < ${firstOwn} OR ${ofExtension})
     AND (p.prosecdef OR p.proconfig IS NOT NULL OR (p.proleakproof AND p.oid >= ${firstOwn}))
   UNION ALL
  SELECT 'language ' || l.lanname, CASE WHEN l.lanpltrusted THEN 'is trusted' ELSE 'is not trusted' END, pg_get_userbyid(l.lanowner)
    FROM pg_language AS l
   WHERE (l.lanname IN ('internal', 'c') AND l.lanpltrusted) OR (l.lanname IN ('sql', 'plpgsql') AND NOT l.lanpltrusted)`;

/**
 * SHA-256 of the oids of PostgreSQL's own LEAKPROOF functions, by major version: a row-level policy trusts them with rows that it
 * hides. Computed on 16.14, 17.10 and 18.4; a minor release cannot change the catalogs.
 */
const leakproof: Readonly<Record<number, string>> = {
  16: '4cd8d5d7b79083ce9a08b973db62f36ffe39fb33d7668c0bdc182847b4eb710b',
  17: 'd60c737ed390cc22ed6a6cf3888a321fc8fbbf9e3c9b91913bc1f10c300c7d59',
  18: '682dad69bc9387aa54b748099cca6ad9754654d295b3c88ca43c8532e6aab0ae',
};

/** One row if the release has other LEAKPROOF functions; the digest makes two servers comparable. */
const otherLeakproof = (expected: string) => `
   UNION ALL
  SELECT 'functions of pg_catalog', 'not the same ones are LEAKPROOF as in the release (SHA-256 of their oids: ' || l.digest || ')',
         pg_get_userbyid(10)
    FROM (SELECT encode(sha256(convert_to(string_agg(p.oid::text, ',' ORDER BY p.oid), 'UTF8')), 'hex') AS digest
            FROM pg_proc AS p WHERE p.oid < 10000 AND p.proleakproof) AS l
   WHERE l.digest <> '${expected}'`;

/** Objects with an ACL, each with the one that initdb or CREATE EXTENSION gave it. */
const acls = [
  [
    'function',
    'pg_proc',
    'proacl',
    'proowner',
    'oid::regprocedure',
    "'f'",
    "pronamespace IN ('pg_catalog'::regnamespace, to_regnamespace('extensions')) AND o.prosrc NOT LIKE 'be\\_lo%'",
  ],
  [
    'relation',
    'pg_class',
    'relacl',
    'relowner',
    'oid::regclass',
    "'r'",
    "relnamespace IN ('pg_catalog'::regnamespace, to_regnamespace('extensions')) AND o.relkind IN ('r', 'v')",
  ],
  [
    'type',
    'pg_type',
    'typacl',
    'typowner',
    'oid::regtype',
    "'T'",
    "typnamespace IN ('pg_catalog'::regnamespace, to_regnamespace('extensions'))",
  ],
  ['language', 'pg_language', 'lanacl', 'lanowner', 'lanname', "'l'", `oid < ${firstOwn}`],
  ['schema', 'pg_namespace', 'nspacl', 'nspowner', 'nspname', "'n'", "nspname = 'pg_catalog'"],
] as const;

const privileges = `
  WITH objects AS (
    ${acls
      .map(
        ([kind, catalog, acl, owner, name, code, where]) => `
      SELECT '${kind} ' || o.${name} AS object, o.${owner} AS owner, o.oid < ${firstOwn} AS built_in,
             coalesce(o.${acl}, acldefault(${code}, o.${owner})) AS now,
             coalesce(i.initprivs, acldefault(${code}, o.${owner})) AS first
        FROM ${catalog} AS o LEFT JOIN pg_init_privs AS i ON i.classoid = '${catalog}'::regclass AND i.objoid = o.oid AND i.objsubid = 0
       WHERE o.${where} AND (o.${acl} IS NOT NULL OR i.initprivs IS NOT NULL)`,
      )
      .join(' UNION ALL ')}
    UNION ALL
    SELECT 'column ' || a.attrelid::regclass || '.' || a.attname, c.relowner, true, a.attacl, i.initprivs
      FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
      LEFT JOIN pg_init_privs AS i ON i.classoid = 'pg_class'::regclass AND i.objoid = a.attrelid AND i.objsubid = a.attnum
     WHERE a.attacl IS NOT NULL AND c.relnamespace = 'pg_catalog'::regnamespace
  ), grants AS (
    SELECT o.object, n.grantee, n.privilege_type, n.grantor AS by, true AS given FROM objects AS o, aclexplode(o.now) AS n
     WHERE n.grantee <> o.owner AND NOT EXISTS (
       SELECT FROM aclexplode(o.first) AS f WHERE f.grantee = n.grantee AND f.privilege_type = n.privilege_type)
    UNION ALL
    SELECT o.object, f.grantee, f.privilege_type, o.owner, false FROM objects AS o, aclexplode(o.first) AS f
     WHERE f.grantee = 0 AND (NOT o.built_in OR o.object = 'schema pg_catalog') AND NOT EXISTS (
       SELECT FROM aclexplode(o.now) AS n WHERE n.grantee = 0 AND n.privilege_type = f.privilege_type)
  )
  SELECT g.object, g.privilege_type AS privilege, g.given, pg_get_userbyid(g.by) AS by,
         CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END AS grantee
    FROM grants AS g LEFT JOIN pg_roles AS r ON r.oid = g.grantee WHERE r.rolsuper IS NOT TRUE ORDER BY 1, 2, 4`;

export const checks = checksOf('isolation', [
  {
    id: 'ISO-063',
    name: 'nothing-changes-the-meaning-of-statements',
    loses: 'barrier',
    title: 'No language, operator, type or conversion exists beside those of PostgreSQL and its extensions',
    inspects:
      'operators, operator classes and families, conversions, collations, text search objects, extended statistics, types, languages, transforms and access methods outside schema llama, functions, relations and rules that were added to pg_catalog and information_schema, foreign keys from other schemas, and schemas of the name of a login; without those of the platform, which database postgres has too',
    why: 'They decide what a statement means that nobody changed: a default conversion rewrites the text of every client, an operator in pg_catalog is found before any other, and statistics keep values of rows outside their policies.',
    remedy: 'DROP the object. If the project needs it, create it in schema llama in a migration.',
    source: 'PostgreSQL manual, search_path, CREATE CONVERSION, CREATE STATISTICS',
    run: async (input) => {
      const rows = await ofThisDatabase<Made & { object: string }>(
        input,
        `SELECT a.object, a.by FROM (${added}) AS a ORDER BY 1`,
      );
      return judge(
        'objects beside those of PostgreSQL and its extensions',
        rows.map(({ object, by }) => ({ object, detail: `belongs to ${by}` })),
      );
    },
  },
  {
    id: 'ISO-064',
    name: 'built-in-privileges-as-installed',
    loses: 'barrier',
    title:
      'Nobody has more privileges on objects of PostgreSQL and its extensions than their installation gave',
    inspects:
      'ACLs of functions, relations, columns, types, languages and schemas of pg_catalog and extensions against pg_init_privs, and grants on parameters, except for administrators and the platform, and for those that the platform gave in database postgres too; privileges that PUBLIC lost on extensions and on pg_catalog',
    why: 'A grant on pg_read_file, pg_authid or pg_statistic shows rows of every tenant past all policies, and one on a parameter lets a session change what protects others. Without EXECUTE on a function of an extension, writes fail.',
    remedy:
      'REVOKE … FROM the role, as the role that granted it; REVOKE SET, ALTER SYSTEM ON PARAMETER … FROM the role; or GRANT … TO PUBLIC again.',
    source: 'PostgreSQL manual, pg_init_privs, pg_parameter_acl',
    run: async (input) => {
      const { snapshot } = input;
      const model = modelOf(snapshot);
      const rows = await ofThisDatabase<
        Made & { object: string; privilege: string; given: boolean; grantee: string }
      >(input, privileges);
      const trusted = (grantee: string) =>
        isPlatform(grantee) || (grantee !== 'PUBLIC' && model.reach(grantee).has(everyAdministrator));
      return judge(counted(rows.length, 'changed privilege'), [
        ...rows
          .filter(({ grantee, given }) => !given || !trusted(grantee))
          .map(({ object, privilege, given, grantee }) => ({
            object,
            detail: `${grantee} ${given ? 'has' : 'no longer has'} ${privilege}`,
          })),
        ...snapshot.parameterGrants
          // AUD-007 judges session_replication_role.
          .filter(({ parameter, grantee }) => parameter !== 'session_replication_role' && !trusted(grantee))
          .map(({ parameter, grantee }) => ({
            object: `parameter ${parameter}`,
            detail: `${grantee} may set it`,
          })),
      ]);
    },
  },
  {
    id: 'ISO-065',
    name: 'built-in-functions-as-installed',
    loses: 'barrier',
    title: 'Functions of PostgreSQL and its extensions run as their caller, without settings of their own',
    inspects:
      'SECURITY DEFINER, SET and LEAKPROOF of functions in pg_catalog and in the extensions of the project, and which languages are trusted; without those that the platform made so in database postgres too',
    why: 'A policy lets a LEAKPROOF function see the rows that it hides. A changed function of an extension runs with the rights of its owner, or finds other objects than its author meant. A trusted language C gives every role the files of the server.',
    remedy:
      'ALTER FUNCTION … SECURITY INVOKER, RESET ALL, NOT LEAKPROOF; or DROP EXTENSION and CREATE EXTENSION again.',
    source: 'PostgreSQL manual, CREATE FUNCTION, CREATE LANGUAGE',
    run: async (input) => {
      const expected = leakproof[Math.floor(input.snapshot.server.version / 10_000)];
      const rows = await ofThisDatabase<Made & { object: string; detail: string }>(
        input,
        `SELECT a.object, a.detail, a.by FROM (${altered}${expected ? otherLeakproof(expected) : ''}) AS a ORDER BY 1`,
      );
      return judge(
        'functions of pg_catalog and schema extensions, and languages',
        rows.map(({ object, detail }) => ({ object, detail })),
      );
    },
  },
]);
