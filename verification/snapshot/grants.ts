export interface Grant {
  /** Role name, or `PUBLIC`. */
  readonly grantee: string;
  readonly privilege: string;
  readonly grantable: boolean;
}

/** Grants of an ACL as JSON, in the shape of `Grant`. */
export const grantsOf = (acl: string) => `coalesce((
  SELECT json_agg(json_build_object('privilege', a.privilege_type, 'grantable', a.is_grantable,
    'grantee', CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END))
  FROM aclexplode(${acl}) a), '[]')`;
