-- Up Migration

-- Every column that holds values encrypted with data keys (docs/encryption.md). Rotation encrypts them again here, and a
-- data key is destroyed only when no value here names it: a column that is missing would lose its values with the key.
-- It holds no tenant's data, so grants guard it: under row-level security a reader without a policy would see an empty
-- registry and refuse every value.
CREATE TABLE llama.encrypted_columns (
  table_name text NOT NULL,
  column_name text NOT NULL,
  stored_table text NOT NULL,
  stored_column name NOT NULL,
  record_column name NOT NULL,
  CONSTRAINT encrypted_columns_pkey PRIMARY KEY (table_name, column_name),
  CONSTRAINT encrypted_columns_place UNIQUE (stored_table, stored_column)
);

COMMENT ON TABLE llama.encrypted_columns IS 'Columns that hold values encrypted with data keys; written by llama.register_encrypted_column only';
COMMENT ON COLUMN llama.encrypted_columns.table_name IS 'Table that applications name and that each value is authenticated with; it stays when the table is renamed';
COMMENT ON COLUMN llama.encrypted_columns.column_name IS 'Column that each value is authenticated with; it stays when the column is renamed';
COMMENT ON COLUMN llama.encrypted_columns.stored_table IS 'The table''s present name, with its schema, quoted';
COMMENT ON COLUMN llama.encrypted_columns.stored_column IS 'The column''s present name';
COMMENT ON COLUMN llama.encrypted_columns.record_column IS 'Column whose text is the record that each value is authenticated with; part of the primary key';

GRANT SELECT (table_name, column_name) ON llama.encrypted_columns TO application_role;
GRANT SELECT ON llama.encrypted_columns TO admin_role;

INSERT INTO llama.encrypted_columns (table_name, column_name, stored_table, stored_column, record_column)
VALUES ('storage_records', 'mapped_data', 'llama.storage_records', 'mapped_data', 'id'),
       ('storage_records', 'metadata', 'llama.storage_records', 'metadata', 'id');

CREATE FUNCTION llama.data_key_of(sealed bytea) RETURNS uuid
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  -- One byte of version, 16 of the key's id, 12 of nonce and 16 of tag.
  SELECT CASE WHEN length(sealed) >= 45 AND substr(sealed, 1, 1) = '\x01' THEN encode(substr(sealed, 2, 16), 'hex')::uuid END
$$;

CREATE FUNCTION llama.data_key_of(sealed jsonb) RETURNS uuid
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN jsonb_typeof(sealed) = 'object' AND sealed - '$search' = jsonb_build_object('$enc', sealed -> '$enc')
              THEN llama.data_key_of(sealed ->> '$enc') END
$$;

COMMENT ON FUNCTION llama.data_key_of(bytea) IS 'The data key that a value was encrypted with; NULL for what is no encrypted value';
COMMENT ON FUNCTION llama.data_key_of(jsonb) IS 'The data key of {"$enc": "gcm1:..."}; NULL for any other document';

CREATE FUNCTION llama.has_data_key(tenant text, key uuid) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RETURN EXISTS (
    SELECT FROM llama.data_keys AS k
     WHERE k.tenant_id = tenant AND k.key_id = key AND k.purpose = 'encryption' AND k.state IN ('active', 'retiring'));
END
$$;

COMMENT ON FUNCTION llama.has_data_key(text, uuid) IS 'Whether new values of the tenant may name that data key';

GRANT EXECUTE ON FUNCTION llama.data_key_of(bytea), llama.data_key_of(jsonb), llama.has_data_key(text, uuid)
  TO application_role, admin_role;

-- The trigger's condition asks; it names the columns by number, so it follows a rename, and keeps a column from being
-- dropped without CASCADE.
CREATE FUNCTION llama.guard_sealed_value() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '%.% takes only values that are encrypted with a data key that its tenant has in use', TG_ARGV[0], TG_ARGV[1]
    USING ERRCODE = 'object_not_in_prerequisite_state',
          HINT = 'Forget cached keys (FieldEncryption.forget), encrypt with FieldEncryption.encrypt and write again.';
END
$$;

COMMENT ON FUNCTION llama.guard_sealed_value() IS 'Keeps clear text and values that nobody could read out of a registered column';

-- Row-level security hides rows without an error. What is counted to decide about a key must be counted by a role that
-- sees every row.
CREATE FUNCTION llama.sees_every_row(who name, relation regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT NOT c.relrowsecurity OR r.rolsuper OR r.rolbypassrls
         OR (NOT c.relforcerowsecurity AND pg_has_role(r.oid, c.relowner, 'USAGE'))
         OR (coalesce(p.shown, false) AND NOT coalesce(p.hidden, false))
    FROM pg_class AS c
    JOIN pg_roles AS r ON r.rolname = who
    LEFT JOIN LATERAL (
      SELECT bool_or(y.polpermissive AND pg_get_expr(y.polqual, y.polrelid) = 'true') AS shown,
             bool_or(NOT y.polpermissive AND pg_get_expr(y.polqual, y.polrelid) <> 'true') AS hidden
        FROM pg_policy AS y
       WHERE y.polrelid = c.oid AND y.polcmd IN ('r', '*')
         AND EXISTS (SELECT FROM unnest(y.polroles) AS o (id) WHERE o.id = 0 OR pg_has_role(r.oid, o.id, 'USAGE'))
    ) AS p ON true
   WHERE c.oid = relation
$$;

COMMENT ON FUNCTION llama.sees_every_row(name, regclass) IS 'Whether no policy hides a row of the table from the role';

CREATE FUNCTION llama.register_encrypted_column(
  relation regclass,
  column_name name,
  record_column name DEFAULT 'id',
  known_table text DEFAULT NULL,
  known_column text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  bound_table text := coalesce(known_table, (
    SELECT CASE n.nspname WHEN 'llama' THEN c.relname ELSE n.nspname || '.' || c.relname END
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = relation));
  bound_column text := coalesce(known_column, column_name);
  problems text[];
BEGIN
  SELECT array_agg(wrong.problem) INTO problems
    FROM pg_class AS c
    LEFT JOIN pg_attribute AS stored
      ON stored.attrelid = c.oid AND stored.attname = register_encrypted_column.column_name AND stored.attnum > 0
    LEFT JOIN pg_attribute AS record
      ON record.attrelid = c.oid AND record.attname = register_encrypted_column.record_column AND record.attnum > 0
    LEFT JOIN pg_attribute AS tenant ON tenant.attrelid = c.oid AND tenant.attname = 'tenant_id'
    LEFT JOIN pg_index AS key ON key.indrelid = c.oid AND key.indisprimary
   CROSS JOIN LATERAL (VALUES
     (c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p', 'it is not a permanent table, or is a partition'),
     (stored.atttypid IN ('text'::regtype, 'varchar'::regtype, 'jsonb'::regtype, 'bytea'::regtype) AND stored.attgenerated = '',
      'the column is not there, is generated, or is not of type text, varchar, jsonb or bytea'),
     (tenant.attnotnull, 'it has no column tenant_id, or allows NULL in it'),
     (record.atttypid IN ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype, 'bigint'::regtype, 'integer'::regtype, 'smallint'::regtype),
      'the record column is not there, or its text depends on settings: uuid, text, varchar, bigint, integer or smallint'),
     (tenant.attnum = ANY (key.indkey) AND record.attnum = ANY (key.indkey), 'its primary key does not contain tenant_id and the record column'),
     (has_schema_privilege('admin_role', c.relnamespace, 'USAGE') AND has_table_privilege('admin_role', c.oid, 'SELECT')
      AND has_any_column_privilege('admin_role', c.oid, 'UPDATE') AND has_column_privilege('admin_role', c.oid, stored.attnum, 'UPDATE'),
      'admin_role, which rotates and counts, may not SELECT from it and UPDATE the column'),
     (llama.sees_every_row('admin_role', c.oid), 'no policy shows every row to admin_role')
   ) AS wrong (holds, problem)
   WHERE c.oid = relation AND wrong.holds IS NOT TRUE;
  IF problems IS NOT NULL THEN
    RAISE EXCEPTION 'column % of % cannot hold encrypted values: %', column_name, relation, array_to_string(problems, '; ')
      USING ERRCODE = 'invalid_parameter_value', HINT = 'docs/encryption.md shows a table that can.';
  END IF;

  PERFORM llama.forget_encrypted_column(bound_table, bound_column);
  INSERT INTO llama.encrypted_columns (table_name, column_name, stored_table, stored_column, record_column)
  VALUES (bound_table, bound_column, relation::text, column_name, record_column);
  EXECUTE format(
    'CREATE TRIGGER %I BEFORE INSERT OR UPDATE OF %s ON %s FOR EACH ROW '
    'WHEN (NEW.%4$I IS NOT NULL AND NOT llama.has_data_key(NEW.tenant_id, llama.data_key_of(NEW.%4$I))) '
    'EXECUTE FUNCTION llama.guard_sealed_value(%5$L, %6$L)',
    left('guard_sealed_' || column_name, 63),
    -- The guarded column first: the two-tenant probe reads it there.
    quote_ident(column_name) || ', ' || (
      SELECT string_agg(DISTINCT quote_ident(c.name), ', ') FROM unnest(ARRAY[record_column, 'tenant_id']) AS c (name)),
    relation, column_name, bound_table, bound_column);
END
$$;

COMMENT ON FUNCTION llama.register_encrypted_column(regclass, name, name, text, text) IS
  'Lets a column hold encrypted values; again after a rename, with the names that it was known by';

CREATE FUNCTION llama.forget_encrypted_column(table_name text, column_name text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  guard record;
BEGIN
  FOR guard IN
    SELECT t.tgname, t.tgrelid::regclass AS relation
      FROM pg_trigger AS t
     WHERE t.tgfoid = 'llama.guard_sealed_value()'::regprocedure AND t.tgparentid = 0
       AND t.tgargs = convert_to(forget_encrypted_column.table_name, 'UTF8') || '\x00'
                      || convert_to(forget_encrypted_column.column_name, 'UTF8') || '\x00'
  LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', guard.tgname, guard.relation);
  END LOOP;
  DELETE FROM llama.encrypted_columns AS e
   WHERE e.table_name = forget_encrypted_column.table_name AND e.column_name = forget_encrypted_column.column_name;
END
$$;

COMMENT ON FUNCTION llama.forget_encrypted_column(text, text) IS
  'Takes a column out of the registry, before its table is dropped: values that are left in it are lost with their key';

CREATE FUNCTION llama.data_key_uses(tenant text, key uuid)
RETURNS TABLE (table_name text, column_name text, uses bigint)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  place record;
BEGIN
  FOR place IN
    SELECT e.table_name, e.column_name, e.stored_table, e.stored_column, a.attrelid::regclass AS relation, a.atttypid::regtype AS type
      FROM llama.encrypted_columns AS e
      LEFT JOIN pg_attribute AS a ON a.attrelid = to_regclass(e.stored_table) AND a.attname = e.stored_column AND a.attnum > 0
     ORDER BY 1, 2
  LOOP
    IF place.type IS NULL THEN
      RAISE EXCEPTION '%.% is registered as an encrypted column, and % has no column %', place.table_name, place.column_name,
        place.stored_table, place.stored_column
        USING ERRCODE = 'undefined_column',
              HINT = 'If it was renamed: llama.register_encrypted_column, with the names it was known by. If it is gone: llama.forget_encrypted_column.';
    END IF;
    IF NOT llama.sees_every_row(current_user, place.relation) THEN
      RAISE EXCEPTION 'the values of %.% cannot be counted: row-level security hides rows of % from %', place.table_name,
        place.column_name, place.relation, current_user
        USING ERRCODE = 'insufficient_privilege', HINT = 'CREATE POLICY ... TO admin_role USING (true), and act as admin_role.';
    END IF;
    -- The id stands in front of each value: nothing more of a long one is read than its first piece.
    EXECUTE format('SELECT count(*) FROM %s AS r WHERE r.tenant_id = $1 AND %s = $2', place.relation,
                   format(CASE place.type WHEN 'bytea'::regtype THEN 'encode(substr(r.%I, 1, 17), ''hex'')'
                                          WHEN 'jsonb'::regtype THEN 'left(r.%I ->> ''$enc'', 42)'
                                          ELSE 'left(r.%I, 42)' END, place.stored_column))
       INTO uses
      USING tenant, CASE place.type WHEN 'bytea'::regtype THEN '01' || replace(key::text, '-', '') ELSE 'gcm1:' || key::text || ':' END;
    CONTINUE WHEN uses = 0;
    table_name := place.table_name;
    column_name := place.column_name;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION llama.data_key_uses(text, uuid) IS
  'How many values of each registered column name the data key; an error where that cannot be counted';

CREATE FUNCTION llama.audit_trail_since() RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT min(to_date(right(c.relname, 7), 'YYYY"m"MM'))::timestamp AT TIME ZONE 'UTC'
    FROM pg_class AS c
   WHERE c.relnamespace = 'llama'::regnamespace AND c.relname ~ '^audit_trail_y[0-9]{4}m[0-9]{2}$'
$$;

COMMENT ON FUNCTION llama.audit_trail_since() IS
  'Begin of the oldest month of the audit trail that is a table here, detached or not; NULL without any';

GRANT EXECUTE ON FUNCTION llama.sees_every_row(name, regclass), llama.data_key_uses(text, uuid), llama.audit_trail_since()
  TO admin_role;

-- The table itself sees to it, whatever statement retires or destroys a key.
CREATE FUNCTION llama.guard_key_end() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  held text;
BEGIN
  IF NEW.purpose = 'index' THEN
    held := 'blind indexes, which do not say which key made them';
  ELSE
    SELECT string_agg(format('%s values of %s.%s', u.uses, u.table_name, u.column_name), ', ') INTO held
      FROM llama.data_key_uses(NEW.tenant_id, NEW.key_id) AS u;
  END IF;
  IF held IS NULL AND NEW.state = 'destroyed' THEN
    IF OLD.state <> 'retired' OR (OLD.state_since < llama.audit_trail_since()) IS NOT TRUE THEN
      held := 'the audit trail, which has months from before the key was retired';
    ELSIF EXISTS (SELECT FROM pg_prepared_xacts AS t WHERE t.database = current_database() AND t.prepared <= OLD.state_since)
       OR EXISTS (SELECT FROM pg_stat_activity AS t WHERE t.datname = current_database() AND t.xact_start <= OLD.state_since) THEN
      held := 'a transaction that began before the key was retired, and may have written values that are not visible yet';
    ELSE
      SELECT string_agg(format('%s, which was detached', c.oid::regclass), ', ') INTO held
        FROM (SELECT DISTINCT e.stored_table FROM llama.encrypted_columns AS e) AS e
        JOIN pg_class AS p ON p.oid = to_regclass(e.stored_table) AND p.relkind = 'p'
        JOIN pg_class AS c ON c.relnamespace = p.relnamespace AND NOT c.relispartition
         AND starts_with(c.relname, p.relname || '_y') AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$' AND c.relkind = 'r'
       WHERE pg_relation_size(c.oid) > 0;
    END IF;
  END IF;
  IF held IS NOT NULL THEN
    RAISE EXCEPTION 'data key % of tenant % does not become %: it is still needed by %', NEW.key_id, quote_literal(NEW.tenant_id),
      NEW.state, held
      USING ERRCODE = 'dependent_objects_still_exist', HINT = 'llama-db keys rotate moves values to a newer key.';
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.guard_key_end() IS 'A data key is retired and destroyed only when nothing that can be counted names it';

CREATE TRIGGER guard_key_end AFTER UPDATE ON llama.data_keys
  FOR EACH ROW WHEN (NEW.state IN ('retired', 'destroyed') AND NEW.state <> OLD.state)
  EXECUTE FUNCTION llama.guard_key_end();

-- Down Migration

DROP TRIGGER guard_key_end ON llama.data_keys;
DROP FUNCTION llama.guard_key_end();
DROP FUNCTION llama.audit_trail_since();
DROP FUNCTION llama.data_key_uses(text, uuid);
DROP FUNCTION llama.register_encrypted_column(regclass, name, name, text, text);
DROP FUNCTION llama.forget_encrypted_column(text, text);
DROP FUNCTION llama.sees_every_row(name, regclass);
DROP FUNCTION llama.guard_sealed_value();
DROP FUNCTION llama.has_data_key(text, uuid);
DROP FUNCTION llama.data_key_of(jsonb);
DROP FUNCTION llama.data_key_of(bytea);
-- lint allow undeclared-data-loss: its rows are made by migrations, which write them again
DROP TABLE llama.encrypted_columns;
